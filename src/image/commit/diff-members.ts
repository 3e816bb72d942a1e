import { Buffer } from 'node:buffer'
import { checkAttributes, checkDevice, checkTarget } from '../../erofs/attributes.ts'
import { isStorableXattr, type Xattrs } from '../../erofs/xattr.ts'
import { CofferError } from '../../errors.ts'
import { entryPath, showEntryPath } from '../layer/entry-path.ts'
import type { LayerLimits } from '../layer/limits.ts'
import { readTar } from '../layer/tar.ts'
import type { TarEntry } from '../layer/tar-entry.ts'
import { meaningOf } from '../layer/whiteout.ts'
import type { TarMember } from '../save/tar-writer.ts'

/**
 * The changes of a box as members of a layer. The archive comes from the guest, which is hostile: each entry is read, checked against what a
 * file system can hold, and given out anew under a clean name, so nothing of the archive itself is in the layer.
 *
 * @throws `invalid_argument` for an archive or entry that breaks the rules, `resource_exhausted` beyond a limit
 */
export async function* diffMembers(
  diff: AsyncIterable<Uint8Array>,
  limits: LayerLimits,
): AsyncGenerator<TarMember, void, void> {
  let entries = 0
  let metadataBytes = 0
  let contentBytes = 0
  for await (const entry of readTar(bounded(diff, limits.maxBytes))) {
    entries += 1
    if (entries > limits.maxEntries) throw exhausted('has too many entries', limits.maxEntries)
    const member = memberOf(entry, limits.maxPathBytes)
    if (member === undefined) continue
    metadataBytes += member.path.length + member.linkPath.length + xattrBytes(member.xattrs)
    contentBytes += member.size
    if (metadataBytes > limits.maxMetadataBytes)
      throw exhausted('has too long names, targets and attributes', limits.maxMetadataBytes)
    if (contentBytes > limits.maxBytes) throw exhausted('has too much content', limits.maxBytes)
    yield member
  }
}

/** The reader takes what comes to its end, also behind an archive. */
async function* bounded(
  diff: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0
  for await (const chunk of diff) {
    bytes += chunk.length
    if (bytes > maxBytes) throw exhausted('is too much', maxBytes)
    yield chunk
  }
}

function memberOf(entry: TarEntry, maxPathBytes: number): TarMember | undefined {
  const names = entryPath(entry.path, maxPathBytes)
  const meaning = meaningOf(names)
  const { kind } = entry
  // A socket without the process that listened is nothing.
  if (meaning.kind === 'ignored' || kind === 'socket') return undefined
  const path = names.join('/')
  if (meaning.kind !== 'entry') return markOf(path, entry)
  if (path === '' && kind !== 'directory') throw unusable(entry, `a ${kind} in place of the root`)
  const xattrs = keptXattrs(entry.xattrs)
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = entry
  const bytes = Buffer.from(path, 'latin1')
  checkAttributes(bytes, { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs })
  checkDevice(bytes, entry)
  if (kind === 'symlink') checkTarget(bytes, Buffer.from(entry.linkPath, 'latin1'))
  return {
    kind,
    path: kind === 'directory' ? `${path === '' ? '.' : path}/` : path,
    linkPath:
      kind === 'hardlink' ? linkedPath(entry, maxPathBytes) : kind === 'symlink' ? entry.linkPath : '',
    ...{ mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs },
    major: entry.major,
    minor: entry.minor,
    size: kind === 'file' ? entry.size : 0,
    content: entry.content,
  }
}

/** What is hidden below: an empty file of a name that says so. */
function markOf(path: string, { mtimeSeconds, mtimeNanoseconds }: TarEntry): TarMember {
  const nobody = { mode: 0, uid: 0, gid: 0, xattrs: undefined, major: 0, minor: 0 }
  return {
    kind: 'file',
    path,
    linkPath: '',
    ...nobody,
    mtimeSeconds,
    mtimeNanoseconds,
    size: 0,
    content: Buffer.alloc(0),
  }
}

function linkedPath(entry: TarEntry, maxPathBytes: number): string {
  const path = entryPath(entry.linkPath, maxPathBytes).join('/')
  if (path === '') throw unusable(entry, 'a hard link to the root')
  return path
}

/** Without overlayfs's own notes, and what no image has a place for. */
function keptXattrs(xattrs: Xattrs | undefined): Xattrs | undefined {
  const kept = [...(xattrs ?? [])].filter(
    ([name]) => isStorableXattr(name) && !name.startsWith('trusted.overlay.') && name !== 'security.selinux',
  )
  return kept.length === 0 ? undefined : new Map(kept)
}

function xattrBytes(xattrs: Xattrs | undefined): number {
  let bytes = 0
  for (const [name, value] of xattrs ?? []) bytes += name.length + value.length
  return bytes
}

function unusable(entry: TarEntry, problem: string): CofferError {
  return new CofferError('invalid_argument', `the box sent ${showEntryPath(entry.path)}: ${problem}`)
}

function exhausted(problem: string, limit: number): CofferError {
  return new CofferError('resource_exhausted', `what was changed in the box ${problem}`, {
    hint: `The limit is ${limit}.`,
    details: { limit },
  })
}
