import { Buffer } from 'node:buffer'
import type { Xattrs } from '../../erofs/xattr.ts'
import { invalidArchive } from './archive-error.ts'

/** The records of an extension header in order: names may repeat. */
export type PaxRecords = readonly (readonly [keyword: string, value: Buffer])[]

/** What extension headers say about an entry, in place of its header. Text is latin1. */
export type PaxAttributes = {
  readonly path: string | undefined
  readonly linkPath: string | undefined
  readonly size: number | undefined
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly mtime: PaxTime | undefined
  readonly xattrs: Xattrs | undefined
}
export type PaxTime = { readonly seconds: number; readonly nanoseconds: number }

const space = 0x20
const equals = 0x3d
const newline = 0x0a
const maxLengthDigits = 10

/**
 * Reads `LENGTH KEYWORD=VALUE\n` records. Values are bytes whatever `hdrcharset` says, as names of files are.
 *
 * @throws `invalid_argument`
 */
export function parsePaxRecords(bytes: Buffer): PaxRecords {
  const records: [string, Buffer][] = []
  for (let at = 0; at < bytes.length; ) {
    const digitsEnd = bytes.subarray(at, at + maxLengthDigits).indexOf(space) + at
    const digits = bytes.toString('latin1', at, Math.max(at, digitsEnd))
    const end = at + (/^\d+$/.test(digits) ? Number(digits) : 0)
    const separator = bytes.indexOf(equals, at)
    const valid = end <= bytes.length && separator > digitsEnd + 1 && separator < end
    if (!valid || bytes[end - 1] !== newline)
      throw invalidArchive('an extended header has a malformed record')
    records.push([bytes.toString('latin1', digitsEnd + 1, separator), bytes.subarray(separator + 1, end - 1)])
    at = end
  }
  return records
}

/**
 * Keeps of global records what may sensibly hold for many files. A path, size or map for all would make this reader see other
 * files than Docker's, which ignores global headers.
 */
export function keepGlobalRecords(globals: Map<string, Buffer>, records: PaxRecords): void {
  for (const [keyword, value] of records) {
    if (keyword === 'uid' || keyword === 'gid' || keyword === 'mtime')
      globals.set(keyword, Buffer.from(value))
  }
}

/** @throws `invalid_argument` for a value that is not of its keyword's kind */
export function paxAttributes(globals: ReadonlyMap<string, Buffer>, records: PaxRecords): PaxAttributes {
  const last = new Map(globals)
  for (const [keyword, value] of records) last.set(keyword, value)
  return {
    path: textOf(last, 'path'),
    linkPath: textOf(last, 'linkpath'),
    size: integerOf(last, 'size'),
    uid: integerOf(last, 'uid'),
    gid: integerOf(last, 'gid'),
    mtime: timeOf(last),
    xattrs: xattrsOf(last),
  }
}

/** A decimal number from zero to 2^53. @throws `invalid_argument` */
export function parseDecimal(text: string, what: string): number {
  const value = Number(text)
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value
  throw invalidArchive(`${what} of an extended header is no size: ${JSON.stringify(text.slice(0, 40))}`)
}

// An empty value means that the header's own stands.
function textOf(values: ReadonlyMap<string, Buffer>, keyword: string): string | undefined {
  const value = values.get(keyword)
  if (value === undefined || value.length === 0) return undefined
  if (value.includes(0)) throw invalidArchive(`${keyword} of an extended header has a NUL byte`)
  return value.toString('latin1')
}

function integerOf(values: ReadonlyMap<string, Buffer>, keyword: string): number | undefined {
  const text = textOf(values, keyword)
  return text === undefined ? undefined : parseDecimal(text, keyword)
}

function timeOf(values: ReadonlyMap<string, Buffer>): PaxTime | undefined {
  const text = textOf(values, 'mtime')
  if (text === undefined) return undefined
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text)
  if (match === null)
    throw invalidArchive(`an extended header has the time ${JSON.stringify(text.slice(0, 40))}`)
  const [, sign, digits, fraction = ''] = match
  const seconds = Number(digits)
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'))
  if (sign === '') return { seconds, nanoseconds }
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds }
}

const schily = 'SCHILY.xattr.'
const libarchive = 'LIBARCHIVE.xattr.'

// libarchive writes both kinds, so the plain one goes over the encoded one.
function xattrsOf(values: ReadonlyMap<string, Buffer>): Xattrs | undefined {
  let xattrs: Map<string, Uint8Array> | undefined
  for (const prefix of [libarchive, schily]) {
    for (const [keyword, value] of values) {
      if (!keyword.startsWith(prefix)) continue
      xattrs ??= new Map()
      const name = xattrName(keyword.slice(prefix.length), prefix === libarchive)
      // A copy: the archive's buffer would live as long as the attribute.
      xattrs.set(
        name,
        prefix === schily ? Buffer.from(value) : Buffer.from(value.toString('latin1'), 'base64'),
      )
    }
  }
  return xattrs
}

function xattrName(name: string, encoded: boolean): string {
  const bytes = encoded
    ? name.replace(/%([0-9A-Fa-f]{2})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)))
    : name
  return Buffer.from(bytes, 'latin1').toString()
}
