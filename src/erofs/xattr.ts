import { Buffer } from 'node:buffer'
import { CofferError } from '../errors.ts'
import { roundUp } from './format.ts'
import { type ImagePath, showPath } from './path.ts'

/** Extended attributes by full name (`user.comment`, `security.capability`). POSIX ACLs in the binary form of getxattr(2). */
export type Xattrs = ReadonlyMap<string, Uint8Array>

/** What one inode may carry in all, header included: what listxattr(2) and tar archives can sensibly hold. */
export const maxXattrBytes = 64 * 1024

// `struct erofs_xattr_ibody_header`: a name filter and a count of shared attributes, both unused here.
const headerBytes = 12
const entryBytes = 4
const alignment = 4
const maxNameBytes = 255
const maxValueBytes = 0xffff

// EROFS stores the namespace as a number. The ACLs have no name beyond it.
const namespaces = [
  { prefix: 'user.', index: 1, named: true },
  { prefix: 'system.posix_acl_access', index: 2, named: false },
  { prefix: 'system.posix_acl_default', index: 3, named: false },
  { prefix: 'trusted.', index: 4, named: true },
  { prefix: 'security.', index: 6, named: true },
] as const

type Entry = { readonly index: number; readonly suffix: Buffer; readonly value: Uint8Array }

/** Whether EROFS has a place for an attribute of this name. */
export const isStorableXattr = (name: string): boolean => toEntry(name, new Uint8Array()) !== undefined

/** @throws `invalid_argument` naming `path` and the attribute that does not fit */
export function checkXattrs(path: ImagePath, xattrs: Xattrs): void {
  for (const [name, value] of xattrs) {
    if (!isStorableXattr(name)) {
      throw new CofferError(
        'invalid_argument',
        `cannot put ${showPath(path)}: no place for extended attribute ${JSON.stringify(name)}`,
        {
          hint: 'Names are user.*, trusted.*, security.* or system.posix_acl_{access,default}, of at most 255 bytes.',
        },
      )
    }
    if (value.length > maxValueBytes) {
      throw new CofferError(
        'invalid_argument',
        `cannot put ${showPath(path)}: extended attribute ${name} has ${value.length} bytes`,
        {
          hint: `A value has at most ${maxValueBytes} bytes.`,
        },
      )
    }
  }
  const bytes = xattrsSize(xattrs)
  if (bytes <= maxXattrBytes) return
  throw new CofferError(
    'invalid_argument',
    `cannot put ${showPath(path)}: its extended attributes take ${bytes} bytes`,
    {
      hint: `One file has room for ${maxXattrBytes} bytes of them.`,
    },
  )
}

/** Bytes between an inode and its inline data. */
export function xattrsSize(xattrs: Xattrs | undefined): number {
  if (xattrs === undefined || xattrs.size === 0) return 0
  let bytes = headerBytes
  for (const [name, value] of xattrs) bytes += entrySize(requireEntry(name, value))
  return bytes
}

/** `i_xattr_icount`: the size in units of 4 bytes, where the header counts as one. */
export const xattrsCount = (bytes: number): number =>
  bytes === 0 ? 0 : (bytes - headerBytes) / alignment + 1

/** Writes the attributes at `offset` of `target`, which holds zeros there, in byte order of their names. */
export function encodeXattrs(xattrs: Xattrs, target: Buffer, offset: number): void {
  const entries = [...xattrs].map(([name, value]) => requireEntry(name, value))
  entries.sort((a, b) => a.index - b.index || Buffer.compare(a.suffix, b.suffix))
  let at = offset + headerBytes
  for (const entry of entries) {
    target.writeUInt8(entry.suffix.length, at)
    target.writeUInt8(entry.index, at + 1)
    target.writeUInt16LE(entry.value.length, at + 2)
    target.set(entry.suffix, at + entryBytes)
    target.set(entry.value, at + entryBytes + entry.suffix.length)
    at += entrySize(entry)
  }
}

const entrySize = (entry: Entry): number =>
  roundUp(entryBytes + entry.suffix.length + entry.value.length, alignment)

function toEntry(name: string, value: Uint8Array): Entry | undefined {
  const namespace = namespaces.find(({ prefix, named }) =>
    named ? name.startsWith(prefix) : name === prefix,
  )
  if (namespace === undefined || name.includes('\0')) return undefined
  const suffix = Buffer.from(name.slice(namespace.prefix.length))
  if (namespace.named && suffix.length === 0) return undefined
  if (namespace.prefix.length + suffix.length > maxNameBytes) return undefined
  return { index: namespace.index, suffix, value }
}

function requireEntry(name: string, value: Uint8Array): Entry {
  const entry = toEntry(name, value)
  if (entry === undefined)
    throw new CofferError('invalid_argument', `no place for extended attribute ${JSON.stringify(name)}`)
  return entry
}
