import { Buffer } from 'node:buffer'
import { type Attributes, checkAttributes, checkDevice, checkTarget } from '../../erofs/attributes.ts'
import { type Content, emptyContent, type LeafNode } from '../../erofs/node.ts'
import { isDirectory } from '../../erofs/tree.ts'
import type { ErofsWriter } from '../../erofs/writer.ts'
import { isStorableXattr, type Xattrs } from '../../erofs/xattr.ts'
import { CofferError } from '../../errors.ts'
import type { Budget } from './budget.ts'
import { entryPath, showEntryPath } from './entry-path.ts'
import type { LayerTree } from './layer-tree.ts'
import type { TarEntry } from './tar-entry.ts'
import { meaningOf } from './whiteout.ts'

/** The image as it grows. */
export type Growing = {
  readonly tree: LayerTree
  readonly writer: ErofsWriter
  readonly budget: Budget
  /** @throws `aborted` */
  checkAborted(): void
}

/**
 * Applies one entry of a layer: to the tree, and its content to the image.
 *
 * @throws `invalid_argument` for an entry no file system could hold, `resource_exhausted`; as the writer and the reader
 */
export async function applyEntry(entry: TarEntry, growing: Growing): Promise<void> {
  const { tree, budget } = growing

  // 1. What it means: a whiteout, or nothing, or something to be there.
  const names = entryPath(entry.path, budget.maxPathBytes)
  const meaning = meaningOf(names)
  if (meaning.kind === 'whiteout') return tree.whiteOut(names.slice(0, -1), meaning.name)
  if (meaning.kind === 'opaque') return tree.makeOpaque(names.slice(0, -1))
  // A socket without the process that listened is nothing.
  if (meaning.kind === 'ignored' || entry.kind === 'socket') return

  // 2. What it takes and has.
  const attributes = attributesOf(entry)
  budget.addEntry(metadataBytes(entry, names.at(-1) ?? '', attributes.xattrs))
  if (names.length === 0) {
    if (entry.kind !== 'directory') throw notTheRoot(entry)
    return tree.setRoot(attributes)
  }

  // 3. Its place, emptied before a link is looked for: what it replaces cannot be what it links to.
  const place = tree.makeRoom(names, entry.kind === 'directory')
  if (entry.kind === 'directory') return tree.putDirectory(place, attributes)
  if (entry.kind === 'hardlink') return tree.link(place, linkedNode(entry, tree, budget))
  tree.put(place, await makeNode(entry, attributes, growing))
}

async function makeNode(entry: TarEntry, attributes: Attributes, growing: Growing): Promise<LeafNode> {
  const { kind, major, minor } = entry
  const path = Buffer.from(entry.path, 'latin1')
  switch (kind) {
    case 'symlink': {
      const target = Buffer.from(entry.linkPath, 'latin1')
      checkTarget(path, target)
      return { ...attributes, mode: 0o777, kind, target }
    }
    case 'character_device':
    case 'block_device':
      checkDevice(path, { major, minor })
      return { ...attributes, kind, major, minor }
    case 'fifo':
      return { ...attributes, kind }
    default:
      return { ...attributes, kind: 'file', content: await writeContent(entry, growing) }
  }
}

async function writeContent(
  { size, content }: TarEntry,
  { writer, budget, checkAborted }: Growing,
): Promise<Content> {
  if (size === 0) return emptyContent
  budget.addContent(size)
  return writer.addFile(content instanceof Uint8Array ? content : abortable(content, checkAborted))
}

// The hole of a sparse file can have any size.
async function* abortable(
  content: AsyncIterable<Uint8Array>,
  checkAborted: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of content) {
    checkAborted()
    yield chunk
  }
}

function linkedNode(entry: TarEntry, tree: LayerTree, budget: Budget): number {
  const node = tree.find(entryPath(entry.linkPath, budget.maxPathBytes))
  if (node !== 0 && !isDirectory(tree.merged, node)) return node
  throw new CofferError(
    'invalid_argument',
    `cannot link ${showEntryPath(entry.path)} of a layer to ${showEntryPath(entry.linkPath)}: ${node === 0 ? 'it is not in the image' : 'it is a directory'}`,
    { hint: 'A hard link needs a file that stands before it in the image: make the image again.' },
  )
}

function attributesOf(entry: TarEntry): Attributes {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = entry
  const attributes = { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs: keepXattrs(entry.xattrs) }
  checkAttributes(Buffer.from(entry.path, 'latin1'), attributes)
  return attributes
}

/**
 * Leaves out what EROFS has no place for, and what would mean something else in a box than it did where it was written: orders
 * to overlayfs, which would take a lower layer's `trusted.overlay.*` for its own, and labels of the builder's SELinux policy.
 * `user.overlay.*` stays: the box's overlay is mounted without `userxattr`, and to others it is data.
 */
function keepXattrs(xattrs: Xattrs | undefined): Xattrs | undefined {
  if (xattrs === undefined) return undefined
  const kept = [...xattrs].filter(
    ([name]) => isStorableXattr(name) && !name.startsWith('trusted.overlay.') && name !== 'security.selinux',
  )
  return kept.length === 0 ? undefined : new Map(kept)
}

function metadataBytes(entry: TarEntry, name: string, xattrs: Xattrs | undefined): number {
  let bytes = name.length + (entry.kind === 'symlink' ? entry.linkPath.length : 0)
  for (const [key, value] of xattrs ?? []) bytes += key.length + value.length
  return bytes
}

function notTheRoot(entry: TarEntry): CofferError {
  return new CofferError(
    'invalid_argument',
    `cannot apply entry ${showEntryPath(entry.path)} of a layer: a ${entry.kind} in place of the root`,
    { hint: 'The root of an image is a directory: make the image again.' },
  )
}
