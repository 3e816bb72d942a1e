import { Buffer } from 'node:buffer'
import type { FileHandle } from 'node:fs/promises'
import { writeFully } from './file-io.ts'
import { blockBytes } from './format.ts'

/** A file that grows from `position` on, written in large pieces. */
export type Output = {
  /** Offset of the next byte in the file. */
  readonly position: number
  append(bytes: Uint8Array): Promise<void>
  /** The next `length` bytes, at most 128 KiB and zero, to be filled in before the next call. */
  reserve(length: number): Promise<Buffer>
  /** Zeros up to the next block boundary. */
  pad(): Promise<void>
  /** Takes the bytes since the last block boundary back out; the view is valid until the next call. */
  takeBack(): Uint8Array
  /** Writes what is held, up to the last block boundary. */
  flush(): Promise<void>
}

const bufferBytes = 1024 * 1024
// Zeros are left out of the file, as holes, by pieces of this size; smaller ones would fragment it.
const holeBytes = 64 * 1024
const zeros = Buffer.alloc(holeBytes)

/** `file` must be empty from `start`, a block boundary, on: holes are made by not writing. */
export function createOutput(file: FileHandle, start: number): Output {
  const buffer = Buffer.allocUnsafeSlow(bufferBytes)
  // `base` stays on a block boundary, so the bytes of an unfinished block are always here, never on disk.
  let base = start
  let used = 0

  const flush = async (): Promise<void> => {
    const whole = used - (used % blockBytes)
    await writeAroundHoles(file, buffer.subarray(0, whole), base)
    buffer.copyWithin(0, whole, used)
    base += whole
    used -= whole
  }

  const reserve = async (length: number): Promise<Buffer> => {
    if (used + length > bufferBytes) await flush()
    used += length
    return buffer.subarray(used - length, used).fill(0)
  }

  return {
    get position() {
      return base + used
    },
    async append(bytes) {
      for (let done = 0; done < bytes.length; ) {
        if (used === bufferBytes) await flush()
        const piece = bytes.subarray(done, done + bufferBytes - used)
        buffer.set(piece, used)
        used += piece.length
        done += piece.length
      }
    },
    reserve,
    async pad() {
      await reserve((blockBytes - (used % blockBytes)) % blockBytes)
    },
    takeBack() {
      const length = used % blockBytes
      used -= length
      return buffer.subarray(used, used + length)
    },
    flush,
  }
}

async function writeAroundHoles(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let start = 0
  for (let at = 0; at < bytes.length; at += holeBytes) {
    if (!isZero(bytes.subarray(at, at + holeBytes))) continue
    await writeFully(file, bytes.subarray(start, at), position + start)
    start = at + holeBytes
  }
  await writeFully(file, bytes.subarray(start), position + start)
}

const isZero = (piece: Buffer): boolean => piece[0] === 0 && piece.equals(zeros.subarray(0, piece.length))
