import type { Buffer } from 'node:buffer'
import { blockBytes, direntBytes } from './format.ts'
import type { NameTable } from './name-table.ts'
import { nodeKinds } from './node.ts'
import type { Tree } from './tree.ts'

/** Names of a sorted directory that share a block. */
export type DirectoryBlock = {
  readonly first: number
  readonly count: number
  /** With their dirents. */
  readonly bytes: number
  /** The first name of the block behind it, 0 if it is the last. */
  readonly next: number
}

/**
 * The block that begins with the name `first`. Each block stands alone, its dirents first and then its names, because the
 * kernel searches first for the block and then inside it.
 */
export function directoryBlock(names: NameTable, first: number): DirectoryBlock {
  let count = 0
  let used = 0
  let name = first
  while (name !== 0) {
    const bytes = direntBytes + names.length(name)
    if (used + bytes > blockBytes) break
    count += 1
    used += bytes
    name = names.next(name)
  }
  return { first, count, bytes: used, next: name }
}

/** Writes a block's dirents and names at the beginning of `target`, which holds zeros: a zero ends the last name. */
export function encodeDirectoryBlock(
  { names, inodes }: Tree,
  { first, count }: DirectoryBlock,
  target: Buffer,
): void {
  let nameOffset = count * direntBytes
  let name = first
  for (let index = 0; index < count; index++) {
    const node = names.node(name)
    const at = index * direntBytes
    // A nid fits in 48 bits: 2^32 blocks of 128 slots are 39.
    target.writeUIntLE(inodes.nid(node), at, 6)
    target.writeUInt16LE(nameOffset, at + 8)
    target.writeUInt8(nodeKinds.indexOf(inodes.kind(node)), at + 10)
    names.copy(name, target, nameOffset)
    nameOffset += names.length(name)
    name = names.next(name)
  }
}
