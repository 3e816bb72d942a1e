import type { Buffer } from 'node:buffer'
import { layouts, noBlock } from './format.ts'
import type { PlannedInode } from './plan.ts'
import type { Node } from './tree.ts'
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
} as const satisfies Record<Node['kind'], number>

const extendedVersion = 1

/** Writes `struct erofs_inode_extended` at the beginning of `target`, which holds zeros. `number` is what 32-bit stat calls show. */
export function encodeInode(inode: PlannedInode, number: number, target: Buffer): void {
  const { node } = inode
  const layout = inode.inlineBytes > 0 ? layouts.inline : layouts.plain
  target.writeUInt16LE(extendedVersion | (layout << 1), 0)
  target.writeUInt16LE(xattrsCount(inode.xattrBytes), 2)
  target.writeUInt16LE(typeBits[node.kind] | node.mode, 4)
  target.writeBigUInt64LE(BigInt(inode.size), 8)
  target.writeUInt32LE(addressOf(inode), 16)
  target.writeUInt32LE(number, 20)
  target.writeUInt32LE(node.uid, 24)
  target.writeUInt32LE(node.gid, 28)
  target.writeBigInt64LE(BigInt(node.mtimeSeconds), 32)
  target.writeUInt32LE(node.mtimeNanoseconds, 40)
  target.writeUInt32LE(inode.links, 44)
}

// One field, `i_u`, holds the device number or the first block.
function addressOf({ node, blocks, firstBlock }: PlannedInode): number {
  if (node.kind === 'character_device' || node.kind === 'block_device')
    return encodeDevice(node.major, node.minor)
  if (node.kind === 'fifo' || node.kind === 'socket') return 0
  return blocks === 0 ? noBlock : firstBlock
}

// `new_encode_dev` of include/linux/kdev_t.h: the low 8 bits of the minor, 12 of the major, the rest of the minor.
function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)) >>> 0
}
