import type { Buffer } from 'node:buffer'
import type { Xattrs } from '../../erofs/xattr.ts'
import { CofferError } from '../../errors.ts'
import { invalidArchive } from './archive-error.ts'
import type { ByteReader } from './byte-reader.ts'
import { TarBody } from './tar-body.ts'
import type { TarHeader } from './tar-header.ts'
import { type PaxRecords, paxAttributes } from './tar-pax.ts'
import {
  checkSparseMap,
  expandSparse,
  type PaxSparse,
  paxSparse,
  readDataMap,
  readGnuSparse,
  type SparseMap,
} from './tar-sparse.ts'

export type TarEntryKind =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'hardlink'
  | 'character_device'
  | 'block_device'
  | 'fifo'
  | 'socket'

/** One entry of an archive, as it stands there: nothing in it has been checked against a file system's rules. */
export type TarEntry = {
  readonly kind: TarEntryKind
  /** Latin1, one character for each byte; may be empty, absolute, have `..`. */
  readonly path: string
  /** Of links, latin1; empty for everything else. */
  readonly linkPath: string
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  readonly xattrs: Xattrs | undefined
  readonly major: number
  readonly minor: number
  /** Bytes of content, holes of sparse files included. */
  readonly size: number
  /** Bytes if they are at hand, else a stream of them. To be read before the next entry is asked for, or not at all. */
  readonly content: AsyncIterable<Uint8Array> | Uint8Array
}

/** What stood before an entry's header and belongs to it. */
export type TarExtensions = {
  readonly records: PaxRecords
  readonly longName: string | undefined
  readonly longLink: string | undefined
}

type Source = { readonly reader: ByteReader; readonly maxExtensionBytes: number }

/** The entry of a header, with what extension headers say in its place, and its data. @throws as `readTar` */
export async function openTarEntry(
  header: TarHeader,
  block: Buffer,
  extensions: TarExtensions,
  globals: ReadonlyMap<string, Buffer>,
  source: Source,
): Promise<{ entry: TarEntry; body: TarBody }> {
  const pax = paxAttributes(globals, extensions.records)
  const sparse = paxSparse(extensions.records)
  const path = extensions.longName ?? sparse?.name ?? pax.path ?? header.name
  const kind = kindOf(header, path)
  const hasData = kind === 'file' || kind === 'socket'
  if (!hasData && (sparse !== undefined || header.flag === 'S'))
    throw invalidArchive('something else than a file is sparse')
  // Some archivers write the target's size into links, or a hint into directories. Nothing follows, all the same.
  const body = new TarBody(source.reader, hasData ? (pax.size ?? header.size) : 0)
  const map = await readSparseMap(header, block, sparse, body, source)
  const isLink = kind === 'symlink' || kind === 'hardlink'
  const entry: TarEntry = {
    kind,
    path,
    linkPath: isLink ? (extensions.longLink ?? pax.linkPath ?? header.linkName) : '',
    mode: header.mode & 0o7777,
    uid: pax.uid ?? header.uid,
    gid: pax.gid ?? header.gid,
    mtimeSeconds: pax.mtime?.seconds ?? header.mtimeSeconds,
    mtimeNanoseconds: pax.mtime?.nanoseconds ?? 0,
    xattrs: pax.xattrs,
    major: header.major,
    minor: header.minor,
    size: map?.size ?? body.bytesLeft,
    content: map === undefined ? body.content() : expandSparse(map, body.stream()),
  }
  return { entry, body }
}

async function readSparseMap(
  header: TarHeader,
  block: Buffer,
  sparse: PaxSparse | undefined,
  body: TarBody,
  { reader, maxExtensionBytes }: Source,
): Promise<SparseMap | undefined> {
  let map: SparseMap
  if (header.flag === 'S') {
    map = await readGnuSparse(block, reader, maxExtensionBytes)
  } else if (sparse === undefined) {
    return undefined
  } else if (sparse.pieces === 'in data') {
    const { pieces, bytes } = await readDataMap(reader, body.bytesLeft, maxExtensionBytes)
    body.consumed(bytes)
    map = { size: sparse.size, pieces }
  } else {
    map = { size: sparse.size, pieces: sparse.pieces }
  }
  checkSparseMap(map, body.bytesLeft)
  return map
}

const kinds: Readonly<Record<string, TarEntryKind>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character_device',
  '4': 'block_device',
  '5': 'directory',
  '6': 'fifo',
  // "Contiguous" files, for file systems of the 1980s.
  '7': 'file',
  S: 'file',
}

const typeBits = 0o170000
const socketBits = 0o140000

function kindOf({ flag, mode }: TarHeader, path: string): TarEntryKind {
  const kind = kinds[flag]
  if (kind === undefined) {
    throw new CofferError(
      'unsupported',
      `cannot read tar archive: an entry has the unknown type ${JSON.stringify(flag)}`,
      { hint: 'Make the archive with GNU tar, bsdtar or an OCI tool.', details: { flag } },
    )
  }
  if (kind !== 'file') return kind
  // Archivers older than the type for directories ended their names with a slash.
  if (flag === '\0' && path.endsWith('/')) return 'directory'
  // tar has no type for sockets: who archives one says so in its mode.
  return (mode & typeBits) === socketBits ? 'socket' : 'file'
}
