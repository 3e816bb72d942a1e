import { CofferError } from '../errors.ts'
import { maxSymlinkBytes } from './format.ts'
import { type ImagePath, showPath } from './path.ts'
import { checkXattrs, type Xattrs } from './xattr.ts'

/** What every inode has. */
export type Attributes = {
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number
  /** 0 to 2^32 - 1. */
  readonly uid: number
  readonly gid: number
  /** Seconds since 1970, negative before. */
  readonly mtimeSeconds: number
  /** 0 to 999,999,999, added to the seconds. */
  readonly mtimeNanoseconds: number
  readonly xattrs?: Xattrs | undefined
}

/** @throws `invalid_argument` naming `path` if a value does not fit the on-disk inode */
export function checkAttributes(path: ImagePath, attributes: Attributes): void {
  checkInteger(path, 'mode', attributes.mode, 0, 0o7777)
  checkInteger(path, 'uid', attributes.uid, 0, 0xffff_ffff)
  checkInteger(path, 'gid', attributes.gid, 0, 0xffff_ffff)
  checkInteger(path, 'mtime', attributes.mtimeSeconds, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  checkInteger(path, 'mtime nanoseconds', attributes.mtimeNanoseconds, 0, 999_999_999)
  if (attributes.xattrs !== undefined) checkXattrs(path, attributes.xattrs)
}

/** @throws `invalid_argument` for a number beyond the kernel's 12-bit majors and 20-bit minors */
export function checkDevice(
  path: ImagePath,
  device: { readonly major: number; readonly minor: number },
): void {
  checkInteger(path, 'device major', device.major, 0, 0xfff)
  checkInteger(path, 'device minor', device.minor, 0, 0xf_ffff)
}

/** @throws `invalid_argument` for a target that symlink(2) would refuse */
export function checkTarget(path: ImagePath, target: Uint8Array): void {
  if (target.length >= 1 && target.length <= maxSymlinkBytes && !target.includes(0)) return
  throw new CofferError(
    'invalid_argument',
    `cannot put symbolic link ${showPath(path)}: its target of ${target.length} bytes is not a path`,
    {
      hint: `Targets have 1 to ${maxSymlinkBytes} bytes and no NUL.`,
    },
  )
}

function checkInteger(path: ImagePath, what: string, value: number, low: number, high: number): void {
  if (Number.isSafeInteger(value) && value >= low && value <= high) return
  throw new CofferError(
    'invalid_argument',
    `cannot put ${showPath(path)}: ${what} ${value} is out of range`,
    {
      hint: `It must be an integer from ${low} to ${high}.`,
    },
  )
}
