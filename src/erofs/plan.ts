import { CofferError } from '../errors.ts'
import { directoryBlock } from './directory.ts'
import { blockBytes, inodeBytes, slotBytes } from './format.ts'
import { MetadataArea } from './metadata-area.ts'
import type { Tree } from './tree.ts'

/**
 * Numbers every inode reachable from the root, which comes first, breadth first and in byte order, so that the inodes of a directory's children
 * lie together; counts its links, gives data to what has none from outside, and places it. From then on `.` and `..` are names of each
 * directory like others.
 *
 * @returns the inodes in the order of their numbers
 * @throws `invalid_state` if the tree was planned before
 */
export function planInodes(tree: Tree): Uint32Array {
  if (tree.inodes.number(tree.root) !== 0) throw plannedTwice()
  const order = numberInodes(tree)
  const area = new MetadataArea()
  for (const node of order) {
    planData(tree, node)
    const position = area.place(tree.inodes.xattrBytes(node), tree.inodes.inlineBytes(node))
    tree.inodes.setNid(node, position / slotBytes)
  }
  return order
}

function numberInodes(tree: Tree): Uint32Array {
  const { inodes, names, root } = tree
  const order = new Uint32Array(inodes.count)
  let count = 0
  const reach = (node: number, parent: number): void => {
    order[count] = node
    count += 1
    inodes.setNumber(node, count)
    if (inodes.kind(node) !== 'directory') return
    names.lead(names.claim(node, '.'), node)
    names.lead(names.claim(node, '..'), parent)
    names.sort(node)
  }
  // The list is its own queue. Recursion would overflow the stack on the deep trees that tar archives can hold.
  reach(root, root)
  for (let index = 0; index < count; index++) {
    const directory = order[index] ?? 0
    if (inodes.kind(directory) !== 'directory') continue
    for (const name of names.list(directory)) {
      const node = names.node(name)
      inodes.addLink(node)
      if (inodes.number(node) === 0) reach(node, directory)
    }
  }
  return order.subarray(0, count)
}

/** Directories and symbolic links have data that is made here. */
function planData({ inodes, names }: Tree, node: number): void {
  const kind = inodes.kind(node)
  const room = blockBytes - inodeBytes - inodes.xattrBytes(node)
  if (kind === 'symlink') inodes.setData(node, inodes.size(node), inodes.size(node) <= room)
  if (kind !== 'directory') return
  let fullBlocks = 0
  let block = directoryBlock(names, names.first(node))
  for (; block.next !== 0; block = directoryBlock(names, block.next)) fullBlocks += 1
  // A tail of a whole block counts as data: the kernel takes the last block of an inline inode for the tail, and a tail of
  // `size % 4096` = 0 bytes would be missed.
  inodes.setData(node, fullBlocks * blockBytes + block.bytes, block.bytes <= room)
}

function plannedTwice(): CofferError {
  return new CofferError('invalid_state', 'cannot write the image: its tree was written before', {
    hint: 'Make a tree for each image.',
  })
}
