import { CofferError } from '../errors.ts'
import { splitDirectory } from './directory.ts'
import { blockBytes, inodeBytes } from './format.ts'
import type { DirectoryNode, Node } from './tree.ts'
import { xattrsSize } from './xattr.ts'

/** One inode of the image, before and while it gets its place. */
export type PlannedInode = {
  readonly node: Node
  /** Index of the directory it was found in first; the root's is its own. */
  readonly parent: number
  /** Bytes of data, as stat shows. */
  readonly size: number
  /** Whole blocks of data outside the metadata area. */
  readonly blocks: number
  /** Bytes of data behind the inode and its xattrs. */
  readonly inlineBytes: number
  readonly xattrBytes: number
  /** `.`, `..` and the children of a directory in byte order; empty for everything else. */
  readonly names: readonly string[]
  links: number
  /** Block address of the first of `blocks`. */
  firstBlock: number
  /** Offset in the metadata area. */
  position: number
}

export type Plan = { readonly inodes: readonly PlannedInode[]; readonly indexes: ReadonlyMap<Node, number> }

/**
 * Every inode reachable from `root`, which comes first, breadth first and in byte order, so that the inodes of a
 * directory's children lie together. A node met again is a hard link.
 *
 * @throws `invalid_argument` if a directory is in the tree twice
 */
export function planInodes(root: DirectoryNode): Plan {
  const inodes: PlannedInode[] = [planInode(root, 0)]
  const indexes = new Map<Node, number>([[root, 0]])
  // The list is its own queue. Recursion would overflow the stack on the deep trees that tar archives can hold.
  for (let index = 0; index < inodes.length; index++) {
    const directory = inodes[index]
    if (directory?.node.kind !== 'directory') continue
    for (const name of directory.names) {
      const child = directory.node.children.get(name)
      if (child === undefined) continue
      if (child.kind === 'directory') directory.links++
      const known = indexes.get(child)
      if (known === undefined) {
        indexes.set(child, inodes.length)
        inodes.push(planInode(child, index))
      } else {
        addLink(inodes[known], name)
      }
    }
  }
  return { inodes, indexes }
}

function addLink(inode: PlannedInode | undefined, name: string): void {
  if (inode !== undefined && inode.node.kind !== 'directory') {
    inode.links++
    return
  }
  throw new CofferError(
    'invalid_argument',
    `cannot write the image: directory ${JSON.stringify(name)} is in its tree twice`,
    {
      hint: 'Only files can have several names.',
    },
  )
}

// Images can have a million inodes: for most of them nothing but this one object is made.
const noNames: readonly string[] = []

function planInode(node: Node, parent: number): PlannedInode {
  const xattrBytes = xattrsSize(node.xattrs)
  const room = blockBytes - inodeBytes - xattrBytes
  const names = node.kind === 'directory' ? ['.', '..', ...node.children.keys()].sort() : noNames
  const { size, blocks, inlineBytes } = planData(node, names, room)
  const links = node.kind === 'directory' ? 2 : 1
  const firstBlock = node.kind === 'file' ? node.content.firstBlock : 0
  return { node, parent, size, blocks, inlineBytes, xattrBytes, names, links, firstBlock, position: 0 }
}

function planData(
  node: Node,
  names: readonly string[],
  room: number,
): Pick<PlannedInode, 'size' | 'blocks' | 'inlineBytes'> {
  if (node.kind === 'file') {
    const { size, blocks, tail } = node.content
    return { size, blocks, inlineBytes: tail === undefined ? 0 : size % blockBytes }
  }
  if (node.kind === 'symlink') return splitTail(0, node.target.length, room)
  if (node.kind !== 'directory') return { size: 0, blocks: 0, inlineBytes: 0 }
  const { starts, lastBytes } = splitDirectory(names)
  return splitTail(starts.length - 1, lastBytes, room)
}

// A tail of a whole block counts as data: the kernel takes the last block of an inline inode for the tail, and a tail of
// `size % 4096` = 0 bytes would be missed.
function splitTail(
  blocks: number,
  tailBytes: number,
  room: number,
): Pick<PlannedInode, 'size' | 'blocks' | 'inlineBytes'> {
  const size = blocks * blockBytes + tailBytes
  return tailBytes <= room
    ? { size, blocks, inlineBytes: tailBytes }
    : { size, blocks: blocks + 1, inlineBytes: 0 }
}
