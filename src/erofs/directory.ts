import type { Buffer } from 'node:buffer'
import { blockBytes, direntBytes } from './format.ts'
import type { Node } from './tree.ts'

/** A name for a directory block: latin1, the inode it leads to, and that inode's kind. */
export type Dirent = { readonly name: string; readonly nid: number; readonly kind: Node['kind'] }

/** How a sorted list of names falls into blocks: the index of the first name of each, and the bytes used in the last. */
export type DirectoryBlocks = { readonly starts: readonly number[]; readonly lastBytes: number }

// FT_* of include/linux/fs_types.h.
const fileTypes = {
  file: 1,
  directory: 2,
  character_device: 3,
  block_device: 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
} as const satisfies Record<Node['kind'], number>

/**
 * Splits names in byte order into blocks. Each block stands alone, its dirents first and then its names, because the
 * kernel searches first for the block and then inside it.
 */
export function splitDirectory(names: readonly string[]): DirectoryBlocks {
  const starts = [0]
  let used = 0
  for (const [index, name] of names.entries()) {
    const bytes = direntBytes + name.length
    if (used + bytes > blockBytes) {
      starts.push(index)
      used = 0
    }
    used += bytes
  }
  return { starts, lastBytes: used }
}

/** Writes one block's worth of dirents at the beginning of `target`, which holds zeros: a zero ends the last name. */
export function encodeDirectoryBlock(dirents: readonly Dirent[], target: Buffer): void {
  let nameOffset = dirents.length * direntBytes
  for (const [index, { name, nid, kind }] of dirents.entries()) {
    const at = index * direntBytes
    // A nid fits in 48 bits: 2^32 blocks of 128 slots are 39.
    target.writeUIntLE(nid, at, 6)
    target.writeUInt16LE(nameOffset, at + 8)
    target.writeUInt8(fileTypes[kind], at + 10)
    target.write(name, nameOffset, 'latin1')
    nameOffset += name.length
  }
}
