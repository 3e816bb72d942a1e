import type { Buffer } from 'node:buffer'
import { layouts, noBlock } from './format.ts'
import type { InodeTable } from './inode-table.ts'
import type { NodeKind } from './node.ts'
import { xattrsCount } from './xattr.ts'

// S_IFMT values of inode(7).
const typeBits = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character_device: 0o020000,
  block_device: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
} as const satisfies Record<NodeKind, number>

const extendedVersion = 1

/** Writes `struct erofs_inode_extended` at the beginning of `target`, which holds zeros. */
export function encodeInode(inodes: InodeTable, node: number, target: Buffer): void {
  const layout = inodes.inlineBytes(node) > 0 ? layouts.inline : layouts.plain
  target.writeUInt16LE(extendedVersion | (layout << 1), 0)
  target.writeUInt16LE(xattrsCount(inodes.xattrBytes(node)), 2)
  target.writeUInt16LE(typeBits[inodes.kind(node)] | inodes.mode(node), 4)
  target.writeBigUInt64LE(BigInt(inodes.size(node)), 8)
  target.writeUInt32LE(addressOf(inodes, node), 16)
  // What 32-bit stat calls show.
  target.writeUInt32LE(inodes.number(node), 20)
  target.writeUInt32LE(inodes.uid(node), 24)
  target.writeUInt32LE(inodes.gid(node), 28)
  target.writeBigInt64LE(BigInt(inodes.mtimeSeconds(node)), 32)
  target.writeUInt32LE(inodes.mtimeNanoseconds(node), 40)
  target.writeUInt32LE(inodes.links(node), 44)
}

// One field, `i_u`, holds the device number or the first block.
function addressOf(inodes: InodeTable, node: number): number {
  const kind = inodes.kind(node)
  const hasData = kind === 'file' || kind === 'directory' || kind === 'symlink'
  return hasData && inodes.blocks(node) === 0 ? noBlock : inodes.address(node)
}
