import { Buffer } from 'node:buffer'
import { CofferError } from '../errors.ts'

const slabBytes = 1024 * 1024
const maxBytes = 2 ** 32

/** Short byte strings of a tree, each of at most 64 KiB, kept until the tree is gone. Positions have 32 bits. */
export class ByteStore {
  readonly #slabs: Buffer[] = []
  #used = slabBytes

  /** Room for `length` bytes, of zeros; gives its position. */
  reserve(length: number): number {
    if (this.#used + length > slabBytes) {
      if (this.#slabs.length * slabBytes >= maxBytes) throw full()
      this.#slabs.push(Buffer.alloc(slabBytes))
      this.#used = 0
    }
    this.#used += length
    return this.#slabs.length * slabBytes - slabBytes + this.#used - length
  }

  add(bytes: Uint8Array): number {
    const position = this.reserve(bytes.length)
    this.view(position, bytes.length).set(bytes)
    return position
  }

  view(position: number, length: number): Buffer {
    const start = position % slabBytes
    return this.#slab(position).subarray(start, start + length)
  }

  addLatin1(text: string): number {
    const position = this.reserve(text.length)
    this.#slab(position).write(text, position % slabBytes, 'latin1')
    return position
  }

  latin1(position: number, length: number): string {
    const start = position % slabBytes
    return this.#slab(position).toString('latin1', start, start + length)
  }

  /** Whether what lies there begins with `text`, of as many bytes as characters. */
  isLatin1(position: number, text: string): boolean {
    const slab = this.#slab(position)
    const start = position % slabBytes
    for (let index = 0; index < text.length; index++)
      if (slab[start + index] !== text.charCodeAt(index)) return false
    return true
  }

  /** As `Buffer.compare`. */
  compare(position: number, length: number, otherPosition: number, otherLength: number): number {
    const start = position % slabBytes
    const otherStart = otherPosition % slabBytes
    return this.#slab(position).compare(
      this.#slab(otherPosition),
      otherStart,
      otherStart + otherLength,
      start,
      start + length,
    )
  }

  copy(position: number, length: number, target: Buffer, offset: number): void {
    const start = position % slabBytes
    this.#slab(position).copy(target, offset, start, start + length)
  }

  #slab(position: number): Buffer {
    const slab = this.#slabs[Math.floor(position / slabBytes)]
    if (slab === undefined) throw new CofferError('internal', `there are no bytes at ${position}`)
    return slab
  }
}

function full(): CofferError {
  return new CofferError(
    'resource_exhausted',
    'cannot put more into the tree of an image: its names, link targets and attributes have 4 GiB',
    { hint: 'Put fewer files into one image.' },
  )
}
