import { blockBytes, slotBytes } from './format.ts'
import type { InodeTable } from './inode-table.ts'

/**
 * Sorts inodes by their place from the order in which they were placed. Of those that begin in one block the ones placed later lie further
 * behind: it is enough to sort them by block.
 */
export function byPlace(inodes: InodeTable, order: Uint32Array): Uint32Array {
  const blockOf = (node: number): number => Math.floor((inodes.nid(node) * slotBytes) / blockBytes)
  const blocks = order.reduce((most, node) => Math.max(most, blockOf(node) + 1), 0)
  // How many begin in a block, then where in the result the next of it goes.
  const next = new Uint32Array(blocks)
  for (const node of order) next[blockOf(node)] = (next[blockOf(node)] ?? 0) + 1
  let start = 0
  for (let block = 0; block < blocks; block++) {
    const count = next[block] ?? 0
    next[block] = start
    start += count
  }
  const sorted = new Uint32Array(order.length)
  for (const node of order) {
    const block = blockOf(node)
    const index = next[block] ?? 0
    sorted[index] = node
    next[block] = index + 1
  }
  return sorted
}
