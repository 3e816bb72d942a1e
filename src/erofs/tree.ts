import { Buffer } from 'node:buffer'
import { CofferError } from '../errors.ts'
import { type Attributes, checkAttributes, checkDevice, checkTarget } from './attributes.ts'
import { type ImagePath, showPath, splitPath } from './path.ts'

/** Where the bytes of a file lie in the image. Made by a writer's `addFile`, and of use with that writer only. */
export type Content = {
  /** Bytes. */
  readonly size: number
  /** Block address of the first block, if `blocks` > 0. */
  readonly firstBlock: number
  readonly blocks: number
  /** Position of the last `size % 4096` bytes in the tail store, if they are not in a block. */
  readonly tail: number | undefined
}

export type DirectoryNode = Attributes & {
  readonly kind: 'directory'
  /** By latin1 name, see `splitPath`. */
  readonly children: Map<string, Node>
}
export type FileNode = Attributes & { readonly kind: 'file'; readonly content: Content }
export type SymlinkNode = Attributes & { readonly kind: 'symlink'; readonly target: Uint8Array }
export type DeviceNode = Attributes & {
  readonly kind: 'character_device' | 'block_device'
  readonly major: number
  readonly minor: number
}
export type PipeNode = Attributes & { readonly kind: 'fifo' | 'socket' }

/** What can be put at a path. Directories are made by `makeDirectory`. */
export type LeafNode = FileNode | SymlinkNode | DeviceNode | PipeNode
export type Node = DirectoryNode | LeafNode

/** An empty tree: its root directory. */
export function createTree(attributes: Attributes): DirectoryNode {
  checkAttributes('/', attributes)
  return { ...attributes, kind: 'directory', children: new Map() }
}

/** The node at `path`, or undefined. Symbolic links are not followed: a path through one finds nothing. */
export function lookup(root: DirectoryNode, path: ImagePath): Node | undefined {
  let node: Node | undefined = root
  for (const name of splitPath(path)) {
    if (node?.kind !== 'directory') return undefined
    node = node.children.get(name)
  }
  return node
}

/**
 * Makes the directory at `path`, or gives new attributes to the one that is there and keeps what it holds. Anything else
 * at `path` is replaced.
 *
 * @throws `invalid_argument` if the parent is not a directory or an attribute does not fit the format
 */
export function makeDirectory(root: DirectoryNode, path: ImagePath, attributes: Attributes): DirectoryNode {
  checkAttributes(path, attributes)
  if (splitPath(path).length === 0) return updateAttributes(root, attributes)
  const { parent, name } = locate(root, path)
  const existing = parent.children.get(name)
  if (existing?.kind === 'directory') return updateAttributes(existing, attributes)
  const directory: DirectoryNode = { ...attributes, kind: 'directory', children: new Map() }
  parent.children.set(name, directory)
  return directory
}

/**
 * Puts `node` at `path` in place of whatever is there, a directory with all it holds included. A node put at several
 * paths is one inode with that many links.
 *
 * @throws `invalid_argument` as `makeDirectory`, and for a device number or a link target that does not fit
 */
export function put(root: DirectoryNode, path: ImagePath, node: LeafNode): void {
  checkAttributes(path, node)
  if (node.kind === 'symlink') checkTarget(path, node.target)
  if (node.kind === 'character_device' || node.kind === 'block_device') checkDevice(path, node)
  const { parent, name } = locate(root, path)
  parent.children.set(name, node)
}

/**
 * Gives the node at `existing` the further name `path`, in place of whatever is there.
 *
 * @throws `invalid_argument` if there is nothing at `existing`, or a directory
 */
export function link(root: DirectoryNode, existing: ImagePath, path: ImagePath): void {
  const node = lookup(root, existing)
  if (node === undefined || node.kind === 'directory') {
    throw new CofferError(
      'invalid_argument',
      `cannot link ${showPath(path)} to ${showPath(existing)}: ${node ? 'it is a directory' : 'it does not exist'}`,
      {
        hint: 'A hard link needs a file that was put earlier.',
      },
    )
  }
  const { parent, name } = locate(root, path)
  parent.children.set(name, node)
}

/** Removes what is at `path`, a directory with all it holds included. False if there was nothing. */
export function remove(root: DirectoryNode, path: ImagePath): boolean {
  const names = splitPath(path)
  const name = names.pop()
  if (name === undefined)
    throw new CofferError('invalid_argument', 'cannot remove the root of an image', {
      hint: 'Remove what it holds instead.',
    })
  const parent = descend(root, names)
  return parent?.kind === 'directory' && parent.children.delete(name)
}

/** The names in a directory as bytes, in byte order. */
export function list(directory: DirectoryNode): Buffer[] {
  return [...directory.children.keys()].sort().map(name => Buffer.from(name, 'latin1'))
}

function updateAttributes(directory: DirectoryNode, attributes: Attributes): DirectoryNode {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs } = attributes
  return Object.assign(directory, { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs })
}

function locate(root: DirectoryNode, path: ImagePath): { parent: DirectoryNode; name: string } {
  const names = splitPath(path)
  const name = names.pop()
  if (name === undefined) {
    throw new CofferError('invalid_argument', 'cannot replace the root of an image', {
      hint: 'The root is always a directory.',
    })
  }
  const parent = descend(root, names)
  if (parent?.kind === 'directory') return { parent, name }
  throw new CofferError(
    'invalid_argument',
    `cannot put ${showPath(path)}: its parent is ${parent ? `a ${parent.kind}` : 'missing'}`,
    {
      hint: 'Make the parent directories first; symbolic links are not followed.',
    },
  )
}

function descend(root: DirectoryNode, names: readonly string[]): Node | undefined {
  let node: Node | undefined = root
  for (const name of names) {
    if (node?.kind !== 'directory') return undefined
    node = node.children.get(name)
  }
  return node
}
