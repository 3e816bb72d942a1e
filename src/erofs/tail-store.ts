import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { CofferError } from '../errors.ts'
import { attempt, readFully, writeFully } from './file-io.ts'

/** Ends of files that wait for their inode, which is written when the whole tree is known. */
export type TailStore = {
  /** Keeps a copy of `tail`, of at most a block; gives its position. */
  add(tail: Uint8Array): Promise<number>
  /** Valid until the next call. */
  read(position: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

const slabBytes = 1024 * 1024
// Tails come back roughly in the order they came, so reading ahead pays; reading far ahead does not when they do not.
const windowBytes = 32 * 1024

/**
 * @param spillPath prefix for a temporary file, unlinked as soon as it is open, for what exceeds `maxMemoryBytes`
 */
export function createTailStore(spillPath: string, maxMemoryBytes: number): TailStore {
  const slabs: Buffer[] = []
  let current = Buffer.alloc(0)
  let used = 0
  let slabCount = 0
  let spill: FileHandle | undefined
  const window = { buffer: Buffer.alloc(0), start: 0, length: 0 }

  const retire = async (): Promise<void> => {
    if (slabCount === 0) return
    if (slabCount * slabBytes <= maxMemoryBytes) {
      slabs.push(current)
      return
    }
    spill ??= await attempt('spill', () => openUnlinked(`${spillPath}.${randomUUID()}`))
    await writeFully(spill, current, (slabCount - 1) * slabBytes)
  }

  return {
    async add(tail) {
      if (used + tail.length > current.length) {
        await retire()
        // The slab just spilled can be filled again.
        current = slabCount > slabs.length ? current : Buffer.allocUnsafeSlow(slabBytes)
        slabCount++
        used = 0
      }
      current.set(tail, used)
      used += tail.length
      return (slabCount - 1) * slabBytes + used - tail.length
    },
    async read(position, length) {
      const index = Math.floor(position / slabBytes)
      const slab = index === slabCount - 1 ? current : slabs[index]
      if (slab !== undefined) return slab.subarray(position % slabBytes, (position % slabBytes) + length)
      if (position < window.start || position + length > window.start + window.length) {
        if (window.buffer.length === 0) window.buffer = Buffer.allocUnsafeSlow(windowBytes)
        window.start = position
        window.length = spill === undefined ? 0 : await readFully(spill, window.buffer, position)
        if (window.length < length)
          throw new CofferError('internal', `no tail of ${length} bytes at ${position}`)
      }
      return window.buffer.subarray(position - window.start, position - window.start + length)
    },
    async close() {
      await spill?.close()
    },
  }
}

async function openUnlinked(path: string): Promise<FileHandle> {
  const handle = await open(path, 'wx+', 0o600)
  await unlink(path)
  return handle
}
