import { createHash } from 'node:crypto'
import { type Dirent, encodeDirectoryBlock, splitDirectory } from './directory.ts'
import { blockBytes, inodeBytes, slotBytes } from './format.ts'
import { encodeInode } from './inode.ts'
import type { Output } from './output.ts'
import type { Plan, PlannedInode } from './plan.ts'
import type { TailStore } from './tail-store.ts'
import { encodeXattrs } from './xattr.ts'

/** Appends the data that is made, not added: full blocks of directories, and symbolic links that do not fit behind their inode. */
export async function writeBlocks(plan: Plan, output: Output): Promise<void> {
  for (const inode of plan.inodes) {
    if (inode.blocks === 0 || inode.node.kind === 'file') continue
    inode.firstBlock = output.position / blockBytes
    if (inode.node.kind === 'symlink') {
      await output.append(inode.node.target)
      await output.pad()
      continue
    }
    const { starts } = splitDirectory(inode.names)
    for (const [block, start] of starts.slice(0, inode.blocks).entries()) {
      encodeDirectoryBlock(direntsOf(plan, inode, start, starts[block + 1]), await output.reserve(blockBytes))
    }
  }
}

/**
 * Appends the metadata area, which begins at the output's position: each inode with its xattrs and inline data.
 *
 * @returns 16 bytes that depend on everything written, for the image's uuid
 */
export async function writeInodes(plan: Plan, tails: TailStore, output: Output): Promise<Uint8Array> {
  const area = output.position
  const hash = createHash('sha256')
  const order = Uint32Array.from(plan.inodes.keys())
  order.sort((a, b) => positionOf(plan, a) - positionOf(plan, b))
  for (const index of order) {
    const inode = plan.inodes[index]
    if (inode === undefined) continue
    await skipTo(output, area + inode.position)
    const inlineAt = inodeBytes + inode.xattrBytes
    // The tail is read before its room is reserved: a reserved view lasts until the output is used again.
    const tail = await fileTail(inode, tails)
    const record = await output.reserve(inlineAt + inode.inlineBytes)
    encodeInode(inode, index + 1, record)
    if (inode.node.xattrs !== undefined && inode.xattrBytes > 0)
      encodeXattrs(inode.node.xattrs, record, inodeBytes)
    if (tail !== undefined) record.set(tail, inlineAt)
    if (inode.inlineBytes > 0 && inode.node.kind === 'symlink') record.set(inode.node.target, inlineAt)
    if (inode.inlineBytes > 0 && inode.node.kind === 'directory') {
      const start = splitDirectory(inode.names).starts[inode.blocks] ?? 0
      encodeDirectoryBlock(direntsOf(plan, inode, start, undefined), record.subarray(inlineAt))
    }
    hash.update(record)
  }
  // fsck.erofs 1.5 reads the 12 bytes behind every inode, xattrs or not, and takes the end of the file for corruption.
  if (output.position % blockBytes === 0) await output.reserve(1)
  await output.pad()
  return hash.digest().subarray(0, 16)
}

/** The number by which dirents and the superblock name an inode. */
export const nidOf = (inode: PlannedInode): number => inode.position / slotBytes

const positionOf = (plan: Plan, index: number): number => plan.inodes[index]?.position ?? 0

async function fileTail(
  { node, size, inlineBytes }: PlannedInode,
  tails: TailStore,
): Promise<Uint8Array | undefined> {
  if (node.kind !== 'file' || node.content.tail === undefined || inlineBytes === 0) return undefined
  return tails.read(node.content.tail, size % blockBytes)
}

async function skipTo(output: Output, position: number): Promise<void> {
  if (position > output.position) await output.reserve(position - output.position)
}

function direntsOf(plan: Plan, directory: PlannedInode, start: number, end: number | undefined): Dirent[] {
  return directory.names.slice(start, end).map(name => {
    const target = resolve(plan, directory, name)
    return { name, nid: nidOf(target), kind: target.node.kind }
  })
}

function resolve(plan: Plan, directory: PlannedInode, name: string): PlannedInode {
  const children = directory.node.kind === 'directory' ? directory.node.children : undefined
  const child = children?.get(name)
  const index = child === undefined ? undefined : plan.indexes.get(child)
  if (index !== undefined) return plan.inodes[index] ?? directory
  return name === '..' ? (plan.inodes[directory.parent] ?? directory) : directory
}
