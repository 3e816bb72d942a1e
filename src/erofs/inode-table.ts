import type { Buffer } from 'node:buffer'
import { CofferError } from '../errors.ts'
import type { Attributes } from './attributes.ts'
import { ByteStore } from './byte-store.ts'
import { blockBytes, blocksFor } from './format.ts'
import { type LeafNode, type NodeKind, nodeKinds } from './node.ts'
import { Records } from './records.ts'
import { encodeXattrs, xattrsSize } from './xattr.ts'

// Offsets in a record.
const recordBytes = 68
const at = {
  mtimeSeconds: 0,
  size: 8,
  /** Of a file: of its tail in the writer's store. Of a link: of its target. */
  dataPosition: 16,
  /** Of a directory, in the same place. */
  firstName: 16,
  nid: 24,
  mtimeNanoseconds: 32,
  uid: 36,
  gid: 40,
  xattrPosition: 44,
  xattrBytes: 48,
  address: 52,
  links: 56,
  number: 60,
  mode: 64,
  kind: 66,
  isInline: 67,
} as const

/** The inodes of a tree, by number from 1. */
export class InodeTable {
  readonly #records = new Records(recordBytes)
  /** Targets of symbolic links, and xattrs as the image will have them. */
  readonly #bytes = new ByteStore()

  get count(): number {
    return this.#records.count
  }

  addDirectory(attributes: Attributes): number {
    return this.#add('directory', attributes)
  }

  addLeaf(leaf: LeafNode): number {
    const node = this.#add(leaf.kind, leaf)
    const view = this.#records.view(node)
    const offset = this.#records.offset(node)
    if (leaf.kind === 'file') {
      const { size, firstBlock, tail } = leaf.content
      view.setFloat64(offset + at.size, size)
      view.setUint32(offset + at.address, firstBlock)
      view.setFloat64(offset + at.dataPosition, tail ?? 0)
      view.setUint8(offset + at.isInline, tail === undefined ? 0 : 1)
    }
    if (leaf.kind === 'symlink') {
      view.setFloat64(offset + at.size, leaf.target.length)
      view.setFloat64(offset + at.dataPosition, this.#bytes.add(leaf.target))
    }
    if (leaf.kind === 'character_device' || leaf.kind === 'block_device')
      view.setUint32(offset + at.address, encodeDevice(leaf.major, leaf.minor))
    return node
  }

  setAttributes(node: number, attributes: Attributes): void {
    const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs } = attributes
    const view = this.#records.view(node)
    const offset = this.#records.offset(node)
    view.setUint16(offset + at.mode, mode)
    view.setUint32(offset + at.uid, uid)
    view.setUint32(offset + at.gid, gid)
    view.setFloat64(offset + at.mtimeSeconds, mtimeSeconds)
    view.setUint32(offset + at.mtimeNanoseconds, mtimeNanoseconds)
    const xattrBytes = xattrsSize(xattrs)
    view.setUint32(offset + at.xattrBytes, xattrBytes)
    if (xattrs === undefined || xattrBytes === 0) return
    const position = this.#bytes.reserve(xattrBytes)
    encodeXattrs(xattrs, this.#bytes.view(position, xattrBytes), 0)
    view.setUint32(offset + at.xattrPosition, position)
  }

  kind(node: number): NodeKind {
    const kind = nodeKinds[this.#records.byte(node, at.kind)]
    if (kind === undefined) throw new CofferError('internal', `inode ${node} is of no kind`)
    return kind
  }

  mode(node: number): number {
    return this.#records.view(node).getUint16(this.#records.offset(node) + at.mode)
  }

  uid(node: number): number {
    return this.#records.word(node, at.uid)
  }

  gid(node: number): number {
    return this.#records.word(node, at.gid)
  }

  mtimeSeconds(node: number): number {
    return this.#records.double(node, at.mtimeSeconds)
  }

  mtimeNanoseconds(node: number): number {
    return this.#records.word(node, at.mtimeNanoseconds)
  }

  /** Bytes of data, as stat shows. */
  size(node: number): number {
    return this.#records.double(node, at.size)
  }

  /** Whole blocks of data outside the metadata area. */
  blocks(node: number): number {
    const size = this.size(node)
    return this.#isInline(node) ? Math.floor(size / blockBytes) : blocksFor(size)
  }

  /** Bytes of data behind the inode and its xattrs. */
  inlineBytes(node: number): number {
    return this.#isInline(node) ? this.size(node) % blockBytes : 0
  }

  /** Of a symbolic link. */
  target(node: number): Buffer {
    return this.#bytes.view(this.dataPosition(node), this.size(node))
  }

  xattrBytes(node: number): number {
    return this.#records.word(node, at.xattrBytes)
  }

  /** As the image will have them. */
  xattrs(node: number): Buffer {
    return this.#bytes.view(this.#records.word(node, at.xattrPosition), this.xattrBytes(node))
  }

  /** Of a file that has a tail: where. */
  dataPosition(node: number): number {
    return this.#records.double(node, at.dataPosition)
  }

  /** What a directory or a link has for data, as it is known when the image is planned. */
  setData(node: number, size: number, isInline: boolean): void {
    this.#records.setDouble(node, at.size, size)
    this.#records.setByte(node, at.isInline, isInline ? 1 : 0)
  }

  /** Block address of the first of its blocks, or a device's number. */
  address(node: number): number {
    return this.#records.word(node, at.address)
  }

  setAddress(node: number, firstBlock: number): void {
    this.#records.setWord(node, at.address, firstBlock)
  }

  /** Names that lead to it. */
  links(node: number): number {
    return this.#records.word(node, at.links)
  }

  addLink(node: number): void {
    this.#records.setWord(node, at.links, this.links(node) + 1)
  }

  /** From 1, in the order in which inodes are reached from the root; 0 before that. */
  number(node: number): number {
    return this.#records.word(node, at.number)
  }

  setNumber(node: number, number: number): void {
    this.#records.setWord(node, at.number, number)
  }

  /** The number by which directories and the superblock name it. */
  nid(node: number): number {
    return this.#records.double(node, at.nid)
  }

  setNid(node: number, nid: number): void {
    this.#records.setDouble(node, at.nid, nid)
  }

  /** For the names of a directory. */
  firstName(directory: number): number {
    return this.#records.word(directory, at.firstName)
  }

  setFirstName(directory: number, name: number): void {
    this.#records.setWord(directory, at.firstName, name)
  }

  #isInline(node: number): boolean {
    return this.#records.byte(node, at.isInline) === 1
  }

  #add(kind: NodeKind, attributes: Attributes): number {
    const node = this.#records.add()
    this.#records.setByte(node, at.kind, nodeKinds.indexOf(kind))
    this.setAttributes(node, attributes)
    return node
  }
}

// `new_encode_dev` of include/linux/kdev_t.h: the low 8 bits of the minor, 12 of the major, the rest of the minor.
function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)) >>> 0
}
