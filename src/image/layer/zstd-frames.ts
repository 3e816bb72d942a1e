import { Buffer } from 'node:buffer'
import { CofferError } from '../../errors.ts'
import { ByteReader } from './byte-reader.ts'

/** 128 MiB: what the zstd command takes without being told. A decoder allocates as much for a frame that asks for it. */
export const maxWindowLog = 27

const frameMagic = 0xfd2f_b528
const skippableMagic = 0x0184_d2a5
const checksumBytes = 4
const reservedBlock = 3
const rleBlock = 1

/**
 * The frames of zstd data without the skippable ones, in pieces of about `pieceBytes` that end with each frame: Node's decoder
 * takes what stands behind a frame in the same piece for garbage, and drops it without a word. Source: RFC 8878, 3.1.
 *
 * @throws `invalid_argument` for data that is no frame or is cut short, `resource_exhausted` for too large a window
 */
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
  pieceBytes: number,
): AsyncGenerator<Buffer, void, void> {
  const reader = new ByteReader(source, truncated)
  const held = new Held()
  try {
    for (let magic = await reader.take(4); magic !== undefined; magic = await reader.take(4)) {
      const number = magic.readUInt32LE(0)
      if (number >>> 4 === skippableMagic) {
        await reader.skip((await reader.require(4)).readUInt32LE(0))
        continue
      }
      if (number !== frameMagic) throw damagedFrame('something else follows its frames')
      held.add(magic)
      const { hasChecksum } = await readFrameHeader(reader, held)
      for (let last = false; !last; ) {
        const header = await reader.require(3)
        const value = header.readUIntLE(0, 3)
        const kind = (value >>> 1) & 3
        if (kind === reservedBlock) throw damagedFrame('a block has a reserved type')
        last = (value & 1) === 1
        held.add(header)
        held.add(await reader.require(kind === rleBlock ? 1 : value >>> 3))
        if (held.bytes >= pieceBytes) yield held.release()
      }
      if (hasChecksum) held.add(await reader.require(checksumBytes))
      if (held.bytes > 0) yield held.release()
    }
  } finally {
    await reader.close()
  }
}

async function readFrameHeader(reader: ByteReader, held: Held): Promise<{ hasChecksum: boolean }> {
  const descriptorByte = await reader.require(1)
  const descriptor = descriptorByte[0] ?? 0
  held.add(descriptorByte)
  const isSingleSegment = (descriptor & 0x20) !== 0
  if (!isSingleSegment) {
    const window = await reader.require(1)
    checkWindow(windowBytes(window[0] ?? 0))
    held.add(window)
  }
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0
  const rest = await reader.require(dictionaryBytes + sizeBytes)
  // Such a frame is its own window.
  if (isSingleSegment && sizeBytes >= 4) checkWindow(readSize(rest.subarray(dictionaryBytes)))
  held.add(rest)
  return { hasChecksum: (descriptor & 4) !== 0 }
}

function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3))
  return base + (base / 8) * (descriptor & 7)
}

const readSize = (field: Buffer): number =>
  field.length === 8 ? Number(field.readBigUInt64LE(0)) : field.readUInt32LE(0)

function checkWindow(bytes: number): void {
  if (bytes <= 2 ** maxWindowLog) return
  throw new CofferError(
    'resource_exhausted',
    `cannot decompress layer: a zstd frame needs a window of ${bytes} bytes`,
    { hint: 'Compress the layer with a window of at most 128 MiB (zstd --long=27).', details: { bytes } },
  )
}

const truncated = (): CofferError => damagedFrame('it is cut short', 'truncated')

function damagedFrame(problem: string, reason = 'damaged'): CofferError {
  return new CofferError('invalid_argument', `cannot decompress layer: ${problem}`, {
    hint: 'The layer is damaged: pull or make the image again.',
    details: { reason },
  })
}

class Held {
  #pieces: Buffer[] = []
  bytes = 0

  add(piece: Buffer): void {
    this.#pieces.push(piece)
    this.bytes += piece.length
  }

  release(): Buffer {
    const all = Buffer.concat(this.#pieces)
    this.#pieces = []
    this.bytes = 0
    return all
  }
}
