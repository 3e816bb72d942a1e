import { Buffer } from 'node:buffer'
import type { FileHandle } from 'node:fs/promises'
import { inflateRawSync, constants as zlib, zstdDecompressSync } from 'node:zlib'
import { systemErrorCode } from '../../errors.ts'
import { zstdFrames } from '../layer/zstd-frames.ts'
import {
  checkedOffset,
  invalidQcow2,
  parseQcow2Header,
  type Qcow2Header,
  qcow2HeaderBytes,
} from './qcow2-header.ts'
import { readAt } from './read-at.ts'

const offsetBits = 0x00ff_ffff_ffff_fe00n
const compressedBit = 1n << 62n
const zeroBit = 1n
const sectorBytes = 512

/** Reads the disk in a qcow2 file, and nothing but that file. Internal snapshots are left out. */
export class Qcow2Reader {
  readonly #file: FileHandle
  readonly #fileBytes: number
  readonly #header: Qcow2Header
  readonly #zeros: Buffer
  /** Of clusters that are neither compressed nor zero. */
  #plainBytes = 0

  private constructor(file: FileHandle, fileBytes: number, header: Qcow2Header) {
    this.#file = file
    this.#fileBytes = fileBytes
    this.#header = header
    this.#zeros = Buffer.alloc(2 ** header.clusterBits)
  }

  /** Throws as `parseQcow2Header`. */
  static async open(file: FileHandle, fileBytes: number): Promise<Qcow2Reader> {
    const header = parseQcow2Header(await readAt(file, 0, Math.min(qcow2HeaderBytes, fileBytes)))
    return new Qcow2Reader(file, fileBytes, header)
  }

  /** Of the disk. */
  get bytes(): number {
    return this.#header.bytes
  }

  /** The disk from its beginning, in pieces that must not be changed. Throws `invalid_argument` for tables that lead nowhere. */
  async *content(): AsyncGenerator<Uint8Array, void, void> {
    this.#plainBytes = 0
    const { l1Offset, l1Entries, clusterBits } = this.#header
    const clusterBytes = 2 ** clusterBits
    const entriesPerTable = clusterBytes / 8
    const l1 = await this.#read(l1Offset, l1Entries * 8)
    let left = this.#header.bytes
    for (let index = 0; index < l1Entries; index++) {
      const table = l1.readBigUInt64BE(index * 8) & offsetBits
      const l2 = table === 0n ? undefined : await this.#read(checkedOffset(table, clusterBits), clusterBytes)
      for (let entry = 0; entry < entriesPerTable && left > 0; entry++) {
        const cluster = l2 === undefined ? this.#zeros : await this.#cluster(l2.readBigUInt64BE(entry * 8))
        yield cluster.subarray(0, Math.min(clusterBytes, left))
        left -= clusterBytes
      }
    }
  }

  async #cluster(entry: bigint): Promise<Buffer> {
    const { clusterBits, hasZeroClusters } = this.#header
    if ((entry & compressedBit) !== 0n) return await this.#compressed(entry)
    if (hasZeroClusters && (entry & zeroBit) !== 0n) return this.#zeros
    const offset = checkedOffset(entry & offsetBits, clusterBits)
    if (offset === 0) return this.#zeros
    // No two places of a disk share a cluster: more of them than the file has would be one that grows as it is read.
    this.#plainBytes += this.#zeros.length
    if (this.#plainBytes > this.#fileBytes + this.#zeros.length)
      throw invalidQcow2('it uses its clusters several times')
    // The last one of a file may be cut, as QEMU writes it.
    const stored = await this.#read(offset, Math.min(this.#zeros.length, this.#fileBytes - offset))
    return stored.length === this.#zeros.length ? stored : Buffer.concat([stored], this.#zeros.length)
  }

  async #compressed(entry: bigint): Promise<Buffer> {
    const { clusterBits, compression } = this.#header
    const sizeShift = BigInt(62 - (clusterBits - 8))
    const offset = Number(entry & ((1n << sizeShift) - 1n))
    const sectors = Number((entry & (compressedBit - 1n)) >> sizeShift) + 1
    const length = Math.min(sectors * sectorBytes - (offset % sectorBytes), this.#fileBytes - offset)
    const stored = await this.#read(offset, length)
    const cluster =
      compression === 'zlib' ? inflate(stored, this.#zeros.length) : await unzstd(stored, this.#zeros.length)
    if (cluster.length === this.#zeros.length) return cluster
    throw invalidQcow2('a compressed cluster has the wrong size')
  }

  async #read(offset: number, length: number): Promise<Buffer> {
    if (length < 0 || offset + length > this.#fileBytes) throw invalidQcow2('its tables lead out of the file')
    return await readAt(this.#file, offset, length)
  }
}

function inflate(stored: Buffer, maxOutputLength: number): Buffer {
  // Another cluster's data follow in the same sector: the end of the input says nothing.
  return guarded(() => inflateRawSync(stored, { maxOutputLength, finishFlush: zlib.Z_SYNC_FLUSH }))
}

async function unzstd(stored: Buffer, maxOutputLength: number): Promise<Buffer> {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield stored
  }
  // The decoder takes what follows the frame for an error: only the frame is shown to it.
  for await (const frame of zstdFrames(source(), stored.length + 1))
    return guarded(() => zstdDecompressSync(frame, { maxOutputLength }))
  throw invalidQcow2('a compressed cluster is empty')
}

function guarded(action: () => Buffer): Buffer {
  try {
    return action()
  } catch (error) {
    throw invalidQcow2(`a compressed cluster is damaged (${systemErrorCode(error) ?? error})`)
  }
}
