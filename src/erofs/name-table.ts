import type { Buffer } from 'node:buffer'
import { randomFillSync } from 'node:crypto'
import { ByteStore } from './byte-store.ts'
import { maxNameBytes } from './format.ts'
import type { InodeTable } from './inode-table.ts'
import { Records } from './records.ts'

// Offsets in a record.
const recordBytes = 33
const at = {
  directory: 0,
  hash: 4,
  /** In the same bucket. */
  nextInBucket: 8,
  /** What the name leads to; 0: it is not in its directory, nor among those that follow. */
  node: 12,
  next: 16,
  previous: 20,
  position: 24,
  stamp: 28,
  length: 32,
} as const

const leastBucketBits = 10
// As many bits as the hash is good for.
const mostBucketBits = 25

/**
 * The names in the directories of a tree, by number from 1. A name that was taken out of its directory keeps its number. Names are latin1: one
 * character for each byte.
 */
export class NameTable {
  readonly #inodes: InodeTable
  readonly #records = new Records(recordBytes)
  readonly #bytes = new ByteStore()
  #bucketBits = leastBucketBits
  #buckets = new Uint32Array(2 ** leastBucketBits)

  constructor(inodes: InodeTable) {
    this.#inodes = inodes
  }

  /** 0 if it never was in the directory. */
  find(directory: number, name: string): number {
    return this.#find(directory, name, hashOf(directory, name))
  }

  /** As `find`, but a name that is not there yet gets a number. It leads nowhere. */
  claim(directory: number, name: string): number {
    const hash = hashOf(directory, name)
    const known = this.#find(directory, name, hash)
    return known === 0 ? this.#add(directory, name, hash) : known
  }

  /** What it leads to; 0 for nothing. */
  node(name: number): number {
    return this.#records.word(name, at.node)
  }

  /** Has it lead to `node`, in place of what it led to. */
  lead(name: number, node: number): void {
    if (this.node(name) === 0) {
      const directory = this.#records.word(name, at.directory)
      this.#join(name, this.first(directory))
      this.#join(0, name)
      this.#inodes.setFirstName(directory, name)
    }
    this.#records.setWord(name, at.node, node)
  }

  /** Takes it out of its directory. */
  clear(name: number): void {
    if (this.node(name) === 0) return
    const next = this.next(name)
    const previous = this.#records.word(name, at.previous)
    this.#join(previous, next)
    if (previous === 0) this.#inodes.setFirstName(this.#records.word(name, at.directory), next)
    this.#records.setWord(name, at.node, 0)
  }

  /** The first name in a directory, 0 if it is empty. */
  first(directory: number): number {
    return this.#inodes.firstName(directory)
  }

  /** The name behind it in its directory, 0 if it is the last. */
  next(name: number): number {
    return this.#records.word(name, at.next)
  }

  /** The names in a directory; the one given last may be taken out meanwhile. */
  *list(directory: number): Generator<number, void, void> {
    for (let name = this.first(directory); name !== 0; ) {
      const next = this.next(name)
      yield name
      name = next
    }
  }

  /** Has the names of a directory follow each other in byte order. */
  sort(directory: number): void {
    const sorted = [...this.list(directory)].sort((a, b) => this.#compare(a, b))
    let last = 0
    for (const name of sorted) {
      this.#join(last, name)
      last = name
    }
    this.#join(last, 0)
    this.#inodes.setFirstName(directory, sorted[0] ?? 0)
  }

  text(name: number): string {
    return this.#bytes.latin1(this.#records.word(name, at.position), this.length(name))
  }

  /** Bytes. */
  length(name: number): number {
    return this.#records.byte(name, at.length)
  }

  copy(name: number, target: Buffer, offset: number): void {
    this.#bytes.copy(this.#records.word(name, at.position), this.length(name), target, offset)
  }

  /** A number for who builds the tree, 0 at first. */
  stamp(name: number): number {
    return this.#records.word(name, at.stamp)
  }

  setStamp(name: number, stamp: number): void {
    this.#records.setWord(name, at.stamp, stamp)
  }

  #find(directory: number, name: string, hash: number): number {
    let found = this.#buckets[hash >>> (32 - this.#bucketBits)] ?? 0
    while (found !== 0 && !this.#is(found, directory, name, hash))
      found = this.#records.word(found, at.nextInBucket)
    return found
  }

  #is(found: number, directory: number, name: string, hash: number): boolean {
    const view = this.#records.view(found)
    const offset = this.#records.offset(found)
    return (
      view.getUint32(offset + at.hash) === hash &&
      view.getUint32(offset + at.directory) === directory &&
      view.getUint8(offset + at.length) === name.length &&
      this.#bytes.isLatin1(view.getUint32(offset + at.position), name)
    )
  }

  #add(directory: number, text: string, hash: number): number {
    const name = this.#records.add()
    const view = this.#records.view(name)
    const offset = this.#records.offset(name)
    view.setUint32(offset + at.directory, directory)
    view.setUint32(offset + at.hash, hash)
    view.setUint32(offset + at.position, this.#bytes.addLatin1(text))
    view.setUint8(offset + at.length, text.length)
    if (name > this.#buckets.length && this.#bucketBits < mostBucketBits) this.#growBuckets()
    else this.#chain(name)
    return name
  }

  #growBuckets(): void {
    this.#bucketBits += 1
    this.#buckets = new Uint32Array(2 ** this.#bucketBits)
    for (let name = 1; name <= this.#records.count; name++) this.#chain(name)
  }

  #chain(name: number): void {
    const bucket = this.#records.word(name, at.hash) >>> (32 - this.#bucketBits)
    this.#records.setWord(name, at.nextInBucket, this.#buckets[bucket] ?? 0)
    this.#buckets[bucket] = name
  }

  #join(previous: number, next: number): void {
    if (previous !== 0) this.#records.setWord(previous, at.next, next)
    if (next !== 0) this.#records.setWord(next, at.previous, previous)
  }

  #compare(a: number, b: number): number {
    const [position, otherPosition] = [this.#records.word(a, at.position), this.#records.word(b, at.position)]
    return this.#bytes.compare(position, this.length(a), otherPosition, this.length(b))
  }
}

const directoryBytes = 4
const coefficients = randomFillSync(new Int32Array(1 + directoryBytes + maxNameBytes))

/**
 * Names come from images that may be hostile: with random coefficients nobody can choose many that meet in one bucket. Of such a sum of bytes the
 * upper 25 bits are strongly universal. Source: Lemire and Kaser, "Strongly universal string hashing is fast", 2014, Multilinear.
 */
function hashOf(directory: number, name: string): number {
  let sum = coefficients[0] ?? 0
  for (let index = 0; index < directoryBytes; index++)
    sum += Math.imul(coefficients[1 + index] ?? 0, (directory >>> (8 * index)) & 0xff)
  for (let index = 0; index < name.length; index++)
    sum = (sum + Math.imul(coefficients[1 + directoryBytes + index] ?? 0, name.charCodeAt(index))) | 0
  return sum >>> 0
}
