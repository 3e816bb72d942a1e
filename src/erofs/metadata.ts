import { createHash } from 'node:crypto'
import { byPlace } from './by-place.ts'
import { type DirectoryBlock, directoryBlock, encodeDirectoryBlock } from './directory.ts'
import { blockBytes, inodeBytes, slotBytes } from './format.ts'
import { encodeInode } from './inode.ts'
import type { Output } from './output.ts'
import type { TailStore } from './tail-store.ts'
import type { Tree } from './tree.ts'

/** Appends the data that is made, not added: full blocks of directories, and symbolic links that do not fit behind their inode. */
export async function writeBlocks(tree: Tree, order: Uint32Array, output: Output): Promise<void> {
  const { inodes, names } = tree
  for (const node of order) {
    const kind = inodes.kind(node)
    const blocks = inodes.blocks(node)
    if (blocks === 0 || kind === 'file') continue
    inodes.setAddress(node, output.position / blockBytes)
    if (kind === 'symlink') {
      await output.append(inodes.target(node))
      await output.pad()
      continue
    }
    let next = names.first(node)
    for (let written = 0; written < blocks; written++) {
      const block = directoryBlock(names, next)
      encodeDirectoryBlock(tree, block, await output.reserve(blockBytes))
      next = block.next
    }
  }
}

/**
 * Appends the metadata area, which begins at the output's position: each inode with its xattrs and inline data.
 *
 * @returns 16 bytes that depend on everything written, for the image's uuid
 */
export async function writeInodes(
  tree: Tree,
  order: Uint32Array,
  tails: TailStore,
  output: Output,
): Promise<Uint8Array> {
  const { inodes } = tree
  const area = output.position
  const hash = createHash('sha256')
  for (const node of byPlace(tree.inodes, order)) {
    await skipTo(output, area + inodes.nid(node) * slotBytes)
    const inlineAt = inodeBytes + inodes.xattrBytes(node)
    // The tail is read before its room is reserved: a reserved view lasts until the output is used again.
    const data = await inlineData(tree, node, tails)
    const record = await output.reserve(inlineAt + inodes.inlineBytes(node))
    encodeInode(inodes, node, record)
    if (inlineAt > inodeBytes) record.set(inodes.xattrs(node), inodeBytes)
    if (data instanceof Uint8Array) record.set(data, inlineAt)
    else if (data !== undefined) encodeDirectoryBlock(tree, data, record.subarray(inlineAt))
    hash.update(record)
  }
  // fsck.erofs 1.5 reads the 12 bytes behind every inode, xattrs or not, and takes the end of the file for corruption.
  if (output.position % blockBytes === 0) await output.reserve(1)
  await output.pad()
  return hash.digest().subarray(0, 16)
}

/** Bytes, or names to be made bytes of where they go. */
async function inlineData(
  tree: Tree,
  node: number,
  tails: TailStore,
): Promise<Uint8Array | DirectoryBlock | undefined> {
  const { inodes } = tree
  if (inodes.inlineBytes(node) === 0) return undefined
  const kind = inodes.kind(node)
  if (kind === 'directory') return lastBlock(tree, node)
  return kind === 'symlink'
    ? inodes.target(node)
    : tails.read(inodes.dataPosition(node), inodes.inlineBytes(node))
}

async function skipTo(output: Output, position: number): Promise<void> {
  if (position > output.position) await output.reserve(position - output.position)
}

function lastBlock({ names }: Tree, directory: number): DirectoryBlock {
  let block = directoryBlock(names, names.first(directory))
  while (block.next !== 0) block = directoryBlock(names, block.next)
  return block
}
