import { Buffer } from 'node:buffer'
import { crc32c } from './crc32c.ts'
import { blockBits, blockBytes } from './format.ts'

export type Superblock = {
  readonly rootNid: number
  readonly inodes: number
  readonly buildTimeSeconds: number
  /** Of the whole image. */
  readonly blocks: number
  /** Block address that nids count from. */
  readonly metadataBlock: number
  /** 16 bytes. */
  readonly uuid: Uint8Array
  /** At most 16 bytes. */
  readonly volumeName: Uint8Array
}

// The first KiB is left to boot loaders.
const superblockOffset = 1024
const magic = 0xe0f5_e1e2
// SB_CHKSUM and MTIME: both are of the compatible kind, which older kernels ignore.
const compatibleFeatures = 0x0000_0003

/** Block 0 of an image: `struct erofs_super_block` at byte 1024. The checksum covers everything from there to the block's end. */
export function encodeSuperblock(superblock: Superblock): Buffer {
  const block = Buffer.alloc(blockBytes)
  const target = block.subarray(superblockOffset)
  target.writeUInt32LE(magic, 0)
  target.writeUInt32LE(compatibleFeatures, 8)
  target.writeUInt8(blockBits, 12)
  target.writeUInt16LE(superblock.rootNid, 14)
  target.writeBigUInt64LE(BigInt(superblock.inodes), 16)
  target.writeBigInt64LE(BigInt(superblock.buildTimeSeconds), 24)
  target.writeUInt32LE(superblock.blocks, 36)
  target.writeUInt32LE(superblock.metadataBlock, 40)
  target.set(superblock.uuid, 48)
  target.set(superblock.volumeName, 64)
  target.writeUInt32LE(crc32c(target), 4)
  return block
}
