import { blockBytes, inodeBytes, roundUp, slotBytes } from './format.ts'
import type { PlannedInode } from './plan.ts'

type OpenBlock = { readonly start: number; used: number }

// A nid of 0 is left free. Directory listings show nids as inode numbers, and C libraries skip entries numbered 0.
const reservedBytes = 2 * slotBytes

// With tails of random sizes 16 open blocks fill 97 % of the area, where one fills 82 % and 64 fill hardly more. More would
// scatter a directory's inodes.
const maxOpenBlocks = 16

/**
 * Gives every inode its `position` in the metadata area, the first one first: the superblock has 16 bits for the nid of
 * the root. Inode, xattrs and inline data share one block where they can, and no inode and no inline data crosses a block
 * boundary, which the kernel takes for corruption.
 */
export function placeInodes(inodes: readonly PlannedInode[]): void {
  let open: OpenBlock[] = [{ start: 0, used: reservedBytes }]
  let end = blockBytes
  for (const inode of inodes) {
    const fixedBytes = inodeBytes + inode.xattrBytes
    const bytes = fixedBytes + inode.inlineBytes
    let block = bytes <= blockBytes ? bestFit(open, bytes) : undefined
    if (block === undefined) {
      const start = end + shiftFor(fixedBytes, inode.inlineBytes)
      inode.position = start
      end = roundUp(start + bytes, blockBytes)
      // What is left of the last block is open to others.
      block = { start: end - blockBytes, used: roundUp(start + bytes, slotBytes) - (end - blockBytes) }
      open.push(block)
    } else {
      inode.position = block.start + block.used
      block.used = roundUp(block.used + bytes, slotBytes)
    }
    if (open.length > maxOpenBlocks || blockBytes - block.used < inodeBytes) open = closeFullest(open)
  }
}

function bestFit(open: readonly OpenBlock[], bytes: number): OpenBlock | undefined {
  let best: OpenBlock | undefined
  for (const block of open) {
    if (block.used + bytes <= blockBytes && (best === undefined || block.used > best.used)) best = block
  }
  return best
}

// How far behind a block boundary an inode has to begin so that its inline data, which lies behind `fixedBytes`, stays in
// one block. Files only: what needs more than a block with its xattrs and is no file has no inline data. The shift is
// never 4064, where the inode itself would cross: it is that for data starting at 32 to 63, where 4032 bytes still fit.
function shiftFor(fixedBytes: number, inlineBytes: number): number {
  const into = fixedBytes % blockBytes
  return into + inlineBytes <= blockBytes ? 0 : roundUp(blockBytes - into, slotBytes)
}

function closeFullest(open: readonly OpenBlock[]): OpenBlock[] {
  const fullest = open.reduce((a, b) => (b.used > a.used ? b : a))
  return open.filter(block => block !== fullest)
}
