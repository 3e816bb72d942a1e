import { Buffer } from 'node:buffer'
import { CofferError } from '../../errors.ts'
import { showEntryPath } from '../layer/entry-path.ts'
import { tarBlockBytes } from '../layer/tar-header.ts'
import type { TarMember } from './tar-writer.ts'

const flags: Readonly<Record<TarMember['kind'], string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character_device: '3',
  block_device: '4',
  directory: '5',
  fifo: '6',
}

// Beyond these, a header's octal digits have no room.
const maxOctal7 = 0o7777777
const maxOctal11 = 0o77777777777
const maxNameBytes = 100

/** The header of a member, and before it an extended header if it needs one. Source: POSIX.1-2008, pax, "ustar" and "pax" formats. */
export function tarHeaders(member: TarMember): Buffer {
  if (member.path === '' || member.path.includes('\0') || member.linkPath.includes('\0'))
    throw unusable(member, 'its name is empty or has a NUL byte')
  const size = member.kind === 'file' ? member.size : 0
  const records = paxRecords(member, size)
  const fields: Fields = {
    name: member.path,
    flag: flags[member.kind],
    mode: member.mode & 0o7777,
    uid: member.uid > maxOctal7 ? 0 : member.uid,
    gid: member.gid > maxOctal7 ? 0 : member.gid,
    size: size > maxOctal11 ? 0 : size,
    mtime: isPlainTime(member) ? member.mtimeSeconds : 0,
    linkName: member.linkPath,
    major: member.major,
    minor: member.minor,
  }
  if (member.major > maxOctal7 || member.minor > maxOctal7)
    throw unusable(member, 'its device number is too high')
  if (records.length === 0) return header(fields)
  const extended = header({ ...extensionFields, size: records.length })
  const padding = Buffer.alloc((tarBlockBytes - (records.length % tarBlockBytes)) % tarBlockBytes)
  return Buffer.concat([extended, records, padding, header(fields)])
}

type Fields = {
  readonly name: string
  readonly flag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly linkName: string
  readonly major: number
  readonly minor: number
}

const extensionFields: Fields = {
  name: 'PaxHeaders/0',
  flag: 'x',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  linkName: '',
  major: 0,
  minor: 0,
}

function header(fields: Fields): Buffer {
  const block = Buffer.alloc(tarBlockBytes)
  block.write(fields.name, 0, maxNameBytes, 'latin1')
  octal(block, 100, 7, fields.mode)
  octal(block, 108, 7, fields.uid)
  octal(block, 116, 7, fields.gid)
  octal(block, 124, 11, fields.size)
  octal(block, 136, 11, fields.mtime)
  block.write(fields.flag, 156, 'latin1')
  block.write(fields.linkName, 157, maxNameBytes, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  octal(block, 329, 7, fields.major)
  octal(block, 337, 7, fields.minor)
  // The sum counts its own field as spaces.
  block.fill(' ', 148, 156)
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function octal(block: Buffer, at: number, digits: number, value: number): void {
  block.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1')
}

function paxRecords(member: TarMember, size: number): Buffer {
  const records: Buffer[] = []
  const add = (keyword: string, value: Uint8Array): void => void records.push(record(keyword, value))
  const addText = (keyword: string, text: string): void => add(keyword, Buffer.from(text, 'latin1'))
  if (member.path.length > maxNameBytes) addText('path', member.path)
  if (member.linkPath.length > maxNameBytes) addText('linkpath', member.linkPath)
  if (size > maxOctal11) addText('size', String(size))
  if (member.uid > maxOctal7) addText('uid', String(member.uid))
  if (member.gid > maxOctal7) addText('gid', String(member.gid))
  if (!isPlainTime(member)) addText('mtime', paxTime(member))
  for (const [name, value] of [...(member.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
    // The first `=` of a record ends its keyword. libarchive's form has a way to write one.
    if (!name.includes('=')) add(`SCHILY.xattr.${name}`, value)
    else addText(`LIBARCHIVE.xattr.${encodeURIComponent(name)}`, Buffer.from(value).toString('base64'))
  }
  return Buffer.concat(records)
}

/** `LENGTH KEYWORD=VALUE\n`, where the length counts its own digits. */
function record(keyword: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${keyword}=`), value, Buffer.from('\n')])
  let length = rest.length
  while (rest.length + String(length).length !== length) length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function isPlainTime({ mtimeSeconds, mtimeNanoseconds }: TarMember): boolean {
  return mtimeNanoseconds === 0 && mtimeSeconds >= 0 && mtimeSeconds <= maxOctal11
}

// Nanoseconds count forwards from the second below, also before 1970; decimal fractions do not.
function paxTime({ mtimeSeconds, mtimeNanoseconds }: TarMember): string {
  const isBackward = mtimeSeconds < 0 && mtimeNanoseconds > 0
  const seconds = isBackward ? -mtimeSeconds - 1 : Math.abs(mtimeSeconds)
  const nanoseconds = isBackward ? 1e9 - mtimeNanoseconds : mtimeNanoseconds
  const fraction = nanoseconds === 0 ? '' : `.${String(nanoseconds).padStart(9, '0').replace(/0+$/, '')}`
  return `${mtimeSeconds < 0 ? '-' : ''}${seconds}${fraction}`
}

function unusable({ path }: TarMember, problem: string): CofferError {
  return new CofferError('invalid_argument', `cannot archive ${showEntryPath(path)}: ${problem}`)
}
