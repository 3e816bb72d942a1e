import { Buffer } from 'node:buffer'
import { CofferError } from '../errors.ts'

/** One member of an initramfs. Its kind is in `mode`, as in inode(7): `0o100755`, `0o040755`, `0o120777`, `0o020600`. */
export type CpioEntry = {
  /** Relative, without a leading slash; parents come first. */
  readonly path: string
  readonly mode: number
  /** Bytes of a file, or the target of a symbolic link. */
  readonly content?: Uint8Array | string | undefined
  /** Number of a device node. */
  readonly device?: { readonly major: number; readonly minor: number } | undefined
}

const magic = '070701'
const trailer = 'TRAILER!!!'
const alignment = 4
const maxPathBytes = 4095

/**
 * An initramfs image: a "newc" archive as in Linux' Documentation/driver-api/early-userspace/buffer-format.rst, owned by
 * root and dated 1970, so equal entries give equal bytes. The size is a multiple of 4 bytes, which lets the kernel find
 * another archive behind it.
 *
 * @throws `invalid_argument` for a path or a size the format has no room for
 */
export function writeCpio(entries: Iterable<CpioEntry>): Buffer {
  const parts: Buffer[] = []
  let inode = 0
  for (const entry of entries) {
    checkPath(entry.path)
    parts.push(...encodeMember(entry, ++inode))
  }
  parts.push(...encodeMember({ path: trailer, mode: 0 }, 0))
  return Buffer.concat(parts)
}

function encodeMember({ path, mode, content = '', device }: CpioEntry, inode: number): Buffer[] {
  const data =
    typeof content === 'string'
      ? Buffer.from(content)
      : Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  const name = Buffer.from(`${path}\0`)
  const fields = [
    inode,
    mode,
    0, // uid
    0, // gid
    1, // links
    0, // mtime
    data.length,
    0, // major and minor of the device the archive was made on
    0,
    device?.major ?? 0,
    device?.minor ?? 0,
    name.length,
    0, // checksum, of the "crc" variant only
  ]
  if (fields.some(value => !Number.isInteger(value) || value < 0 || value > 0xffff_ffff)) {
    throw new CofferError(
      'invalid_argument',
      `cannot put ${path} into an initramfs: a number of it does not fit in 32 bits`,
      {
        hint: 'Files have less than 4 GiB, modes and device numbers are not negative.',
      },
    )
  }
  const header = Buffer.from(magic + fields.map(value => value.toString(16).padStart(8, '0')).join(''))
  // The name is padded from the header's start, which itself is not a multiple of 4.
  return [header, name, padding(header.length + name.length), data, padding(data.length)]
}

const padding = (length: number): Buffer => Buffer.alloc((alignment - (length % alignment)) % alignment)

function checkPath(path: string): void {
  const names = path.split('/')
  const fine = !names.some(name => name === '' || name === '.' || name === '..') && !path.includes('\0')
  if (fine && path !== trailer && Buffer.byteLength(path) <= maxPathBytes) return
  throw new CofferError(
    'invalid_argument',
    `cannot put ${JSON.stringify(path)} into an initramfs: it is not a plain relative path`,
    {
      hint: 'Leave out leading and doubled slashes, . and ..',
    },
  )
}
