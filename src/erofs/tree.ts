import { Buffer } from 'node:buffer'
import { CofferError } from '../errors.ts'
import { type Attributes, checkAttributes, checkDevice, checkTarget } from './attributes.ts'
import { InodeTable } from './inode-table.ts'
import { NameTable } from './name-table.ts'
import type { LeafNode } from './node.ts'
import { type ImagePath, showPath, splitPath } from './path.ts'

/** What an image is to hold: inodes, and the names that lead to them. Both go by numbers, of which 0 is none. */
export type Tree = {
  readonly inodes: InodeTable
  readonly names: NameTable
  /** The inode of the root directory. */
  readonly root: number
}

/** An empty tree: its root directory. */
export function createTree(attributes: Attributes): Tree {
  checkAttributes('/', attributes)
  const inodes = new InodeTable()
  return { inodes, names: new NameTable(inodes), root: inodes.addDirectory(attributes) }
}

/** The inode at `path`, or 0. Symbolic links are not followed: a path through one finds nothing. */
export function lookup(tree: Tree, path: ImagePath): number {
  return descend(tree, splitPath(path))
}

export const isDirectory = ({ inodes }: Tree, node: number): boolean =>
  node !== 0 && inodes.kind(node) === 'directory'

/**
 * Makes the directory at `path`, or gives new attributes to the one that is there and keeps what it holds. Anything else
 * at `path` is replaced.
 *
 * @returns its inode
 * @throws `invalid_argument` if the parent is not a directory or an attribute does not fit the format
 */
export function makeDirectory(tree: Tree, path: ImagePath, attributes: Attributes): number {
  checkAttributes(path, attributes)
  const existing = lookup(tree, path)
  if (isDirectory(tree, existing)) {
    tree.inodes.setAttributes(existing, attributes)
    return existing
  }
  const name = claim(tree, path)
  const directory = tree.inodes.addDirectory(attributes)
  tree.names.lead(name, directory)
  return directory
}

/**
 * Puts `leaf` at `path` in place of whatever is there, a directory with all it holds included.
 *
 * @throws `invalid_argument` as `makeDirectory`, and for a device number or a link target that does not fit
 */
export function put(tree: Tree, path: ImagePath, leaf: LeafNode): void {
  checkAttributes(path, leaf)
  if (leaf.kind === 'symlink') checkTarget(path, leaf.target)
  if (leaf.kind === 'character_device' || leaf.kind === 'block_device') checkDevice(path, leaf)
  tree.names.lead(claim(tree, path), tree.inodes.addLeaf(leaf))
}

/**
 * Gives the inode at `existing` the further name `path`, in place of whatever is there.
 *
 * @throws `invalid_argument` if there is nothing at `existing`, or a directory
 */
export function link(tree: Tree, existing: ImagePath, path: ImagePath): void {
  const node = lookup(tree, existing)
  if (node === 0 || isDirectory(tree, node)) {
    throw new CofferError(
      'invalid_argument',
      `cannot link ${showPath(path)} to ${showPath(existing)}: ${node === 0 ? 'it does not exist' : 'it is a directory'}`,
      {
        hint: 'A hard link needs a file that was put earlier.',
      },
    )
  }
  tree.names.lead(claim(tree, path), node)
}

/** Removes what is at `path`, a directory with all it holds included. False if there was nothing. */
export function remove(tree: Tree, path: ImagePath): boolean {
  const names = splitPath(path)
  const name = names.pop()
  if (name === undefined)
    throw new CofferError('invalid_argument', 'cannot remove the root of an image', {
      hint: 'Remove what it holds instead.',
    })
  const parent = descend(tree, names)
  const found = parent === 0 ? 0 : tree.names.find(parent, name)
  if (found === 0 || tree.names.node(found) === 0) return false
  tree.names.clear(found)
  return true
}

/** The names in a directory as bytes, in byte order. */
export function list({ names }: Tree, directory: number): Buffer[] {
  return [...names.list(directory)].map(name => Buffer.from(names.text(name), 'latin1')).sort(Buffer.compare)
}

/** The name at `path`, in a directory that is there. */
function claim(tree: Tree, path: ImagePath): number {
  const names = splitPath(path)
  const name = names.pop()
  if (name === undefined) {
    throw new CofferError('invalid_argument', 'cannot replace the root of an image', {
      hint: 'The root is always a directory.',
    })
  }
  const parent = descend(tree, names)
  if (isDirectory(tree, parent)) return tree.names.claim(parent, name)
  throw new CofferError(
    'invalid_argument',
    `cannot put ${showPath(path)}: its parent is ${parent === 0 ? 'missing' : `a ${tree.inodes.kind(parent)}`}`,
    {
      hint: 'Make the parent directories first; symbolic links are not followed.',
    },
  )
}

function descend(tree: Tree, names: readonly string[]): number {
  let node = tree.root
  for (const name of names) {
    if (!isDirectory(tree, node)) return 0
    const found = tree.names.find(node, name)
    if (found === 0) return 0
    node = tree.names.node(found)
  }
  return node
}
