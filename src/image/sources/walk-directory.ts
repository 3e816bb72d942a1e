import { Buffer } from 'node:buffer'
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  read,
  readdirSync,
  readlinkSync,
} from 'node:fs'
import { promisify } from 'node:util'
import type { Xattrs } from '../../erofs/xattr.ts'
import { CofferError, systemErrorCode } from '../../errors.ts'
import { showEntryPath } from '../layer/entry-path.ts'
import type { TarMember } from '../save/tar-writer.ts'

export type WalkOptions = {
  /** By latin1 path below the root, which itself is ''. */
  readonly xattrs?: ReadonlyMap<string, Xattrs> | undefined
  /** Default: as they are for root. For anybody else, what is the caller's own becomes root's: nothing else could be given to root. */
  readonly owner?: ((uid: number, gid: number) => { readonly uid: number; readonly gid: number }) | undefined
}

const maxPathBytes = 4096
const chunkBytes = 256 * 1024
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants

/**
 * All that is below `root`, as members of an archive in byte order of their names, parents first. Every step goes from an open directory to a
 * name in it and follows no link, so whoever changes the tree meanwhile leads it nowhere else. Another file system mounted below is
 * left out, sockets too; what is removed meanwhile is not there. Content is to be read before the next member is asked for.
 *
 * @throws `not_found`, `invalid_argument`, `permission_denied`, `storage_error`
 */
export async function* walkDirectory(
  root: string,
  options: WalkOptions = {},
): AsyncGenerator<TarMember, void, void> {
  const owner = options.owner ?? defaultOwner()
  const links = new Map<string, string>()
  const first = attempt(root, () => openLevel(root, '', O_DIRECTORY))
  if (first === undefined)
    throw new CofferError('not_found', `there is no directory ${root}`, { details: { path: root } })
  const levels = [first]
  try {
    const top = fstatSync(first.descriptor, { bigint: true })
    yield member('./', 'directory', top, owner, options.xattrs?.get(''))
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names.pop()
      if (name === undefined) {
        closeSync(level.descriptor)
        levels.pop()
        continue
      }
      const path = level.prefix + name.toString('latin1')
      checkName(name, path)
      const at = Buffer.concat([Buffer.from(`/proc/self/fd/${level.descriptor}/`), name])
      const found = attempt(path, () => lstatSync(at, { bigint: true }))
      if (found === undefined || found.isSocket()) continue
      const xattrs = options.xattrs?.get(path)
      if (found.isDirectory()) {
        yield member(`${path}/`, 'directory', found, owner, xattrs)
        if (found.dev !== top.dev) continue
        const next = attempt(path, () => openLevel(at, `${path}/`, O_DIRECTORY | O_NOFOLLOW))
        if (next !== undefined) levels.push(next)
        continue
      }
      const inode = `${found.dev}:${found.ino}`
      const linkPath = found.nlink > 1n ? links.get(inode) : undefined
      if (linkPath !== undefined) {
        yield { ...member(path, 'hardlink', found, owner, undefined), linkPath }
        continue
      }
      const passed = yield* leaf(at, path, found, owner, xattrs)
      if (passed && found.nlink > 1n) links.set(inode, path)
    }
  } finally {
    for (const { descriptor } of levels) closeSync(descriptor)
  }
}

type Level = { readonly descriptor: number; readonly prefix: string; readonly names: Buffer[] }
type Owner = NonNullable<WalkOptions['owner']>

function openLevel(path: string | Buffer, prefix: string, flags: number): Level {
  const descriptor = openSync(path, O_RDONLY | flags)
  try {
    const names = readdirSync(`/proc/self/fd/${descriptor}`, { encoding: 'buffer' })
    // Taken from the end.
    return { descriptor, prefix, names: names.sort(Buffer.compare).reverse() }
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

/** Whether there was something to archive. */
async function* leaf(
  at: Buffer,
  path: string,
  found: BigIntStats,
  owner: Owner,
  xattrs: Xattrs | undefined,
): AsyncGenerator<TarMember, boolean, void> {
  if (found.isFile()) return yield* file(at, path, owner, xattrs)
  if (found.isSymbolicLink()) {
    const target = attempt(path, () => readlinkSync(at, { encoding: 'buffer' }))
    if (target === undefined) return false
    yield { ...member(path, 'symlink', found, owner, xattrs), linkPath: target.toString('latin1') }
    return true
  }
  const kind = found.isFIFO() ? 'fifo' : found.isBlockDevice() ? 'block_device' : 'character_device'
  const device = kind === 'fifo' ? { major: 0, minor: 0 } : deviceNumbers(found.rdev)
  yield { ...member(path, kind, found, owner, xattrs), ...device }
  return true
}

async function* file(
  at: Buffer,
  path: string,
  owner: Owner,
  xattrs: Xattrs | undefined,
): AsyncGenerator<TarMember, boolean, void> {
  // Without waiting: since it was looked at, a pipe may have taken its place.
  const descriptor = attempt(path, () => openSync(at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
  if (descriptor === undefined) return false
  try {
    const found = fstatSync(descriptor, { bigint: true })
    if (!found.isFile()) throw changed(path)
    const size = Number(found.size)
    yield { ...member(path, 'file', found, owner, xattrs), size, content: contentOf(descriptor, size) }
    return true
  } finally {
    closeSync(descriptor)
  }
}

const readChunk = promisify(read)

async function* contentOf(descriptor: number, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let position = 0; position < size; ) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size - position))
    const { bytesRead } = await readChunk(descriptor, chunk, 0, chunk.length, position)
    // The archive's writer says that it became shorter.
    if (bytesRead === 0) return
    position += bytesRead
    yield chunk.subarray(0, bytesRead)
  }
}

function member(
  path: string,
  kind: TarMember['kind'],
  found: BigIntStats,
  owner: Owner,
  xattrs: Xattrs | undefined,
): TarMember {
  const secondNs = 1_000_000_000n
  const nanoseconds = ((found.mtimeNs % secondNs) + secondNs) % secondNs
  return {
    kind,
    path,
    linkPath: '',
    mode: Number(found.mode) & 0o7777,
    ...owner(Number(found.uid), Number(found.gid)),
    mtimeSeconds: Number((found.mtimeNs - nanoseconds) / secondNs),
    mtimeNanoseconds: Number(nanoseconds),
    xattrs,
    major: 0,
    minor: 0,
    size: 0,
    content: Buffer.alloc(0),
  }
}

function defaultOwner(): Owner {
  const [user, group] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
  if (user === 0) return (uid, gid) => ({ uid, gid })
  return (uid, gid) => ({ uid: uid === user ? 0 : uid, gid: gid === group ? 0 : gid })
}

/** As glibc's `gnu_dev_major` and `gnu_dev_minor`. */
function deviceNumbers(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    minor: Number((device & 0xffn) | ((device >> 12n) & ~0xffn)),
  }
}

function checkName(name: Buffer, path: string): void {
  if (path.length > maxPathBytes)
    throw new CofferError('invalid_argument', `the path ${showEntryPath(path)} has ${path.length} bytes`, {
      hint: `Linux takes paths of up to ${maxPathBytes}.`,
    })
  if (name.subarray(0, 4).toString('latin1') !== '.wh.') return
  throw new CofferError('invalid_argument', `a layer takes the name ${showEntryPath(path)} for a removal`, {
    hint: 'Names that begin with .wh. are reserved by OCI. Remove or rename it.',
  })
}

const vanished = new Set(['ENOENT', 'ELOOP', 'ENOTDIR', 'EINVAL', 'ENXIO'])

/** Undefined for what is not there any more, or has become something else since its directory was read. */
function attempt<T>(path: string, action: () => T): T | undefined {
  try {
    return action()
  } catch (error) {
    const code = systemErrorCode(error)
    if (code !== undefined && vanished.has(code)) return undefined
    const kind = code === 'EACCES' || code === 'EPERM' ? 'permission_denied' : 'storage_error'
    throw new CofferError(kind, `cannot read ${showEntryPath(path)}: ${code ?? error}`, {
      hint: 'Whoever imports a directory has to be allowed to read all of it.',
      cause: error,
    })
  }
}

function changed(path: string): CofferError {
  return new CofferError('storage_error', `${showEntryPath(path)} changed while it was read`, {
    hint: 'Try again when nothing writes to the directory.',
  })
}
