import { Buffer } from 'node:buffer'
import { invalidArchive } from './archive-error.ts'
import { parseNumber, parseText } from './tar-number.ts'

export const tarBlockBytes = 512

/** One header block as it stands there, before extension headers change it. Text is latin1. */
export type TarHeader = {
  readonly dialect: 'v7' | 'ustar' | 'star' | 'gnu'
  /** The type flag: a character, `\0` included. */
  readonly flag: string
  readonly name: string
  readonly linkName: string
  /** With whatever bits beyond the permissions the archiver wrote. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Never negative. */
  readonly size: number
  readonly mtimeSeconds: number
  readonly major: number
  readonly minor: number
}

const zeroBlock = Buffer.alloc(tarBlockBytes)
const checksumStart = 148
const checksumEnd = 156
const space = 0x20

/**
 * The header in `block`, or undefined for a block of zeros, which ends archives.
 *
 * @throws `invalid_argument` for a wrong checksum or a field that is no number
 */
export function parseTarHeader(block: Buffer, offset: number): TarHeader | undefined {
  if (block[0] === 0 && block.equals(zeroBlock)) return undefined
  verifyChecksum(block, offset)
  const dialect = dialectOf(block)
  const hasDevices = dialect !== 'v7'
  const size = parseNumber(block.subarray(124, 136), 'a size')
  if (size < 0) throw invalidArchive(`an entry has the negative size ${size}`, { offset })
  return {
    dialect,
    flag: block.toString('latin1', 156, 157),
    name: nameOf(block, dialect),
    linkName: parseText(block.subarray(157, 257)),
    mode: parseNumber(block.subarray(100, 108), 'a mode'),
    uid: parseNumber(block.subarray(108, 116), 'a user id'),
    gid: parseNumber(block.subarray(116, 124), 'a group id'),
    size,
    mtimeSeconds: parseNumber(block.subarray(136, 148), 'a time'),
    major: hasDevices ? parseNumber(block.subarray(329, 337), 'a device number') : 0,
    minor: hasDevices ? parseNumber(block.subarray(337, 345), 'a device number') : 0,
  }
}

// The sum counts its own field as spaces. Old archivers added signed characters.
function verifyChecksum(block: Buffer, offset: number): void {
  let sum = (checksumEnd - checksumStart) * space
  let high = 0
  for (let at = 0; at < tarBlockBytes; at++) {
    if (at === checksumStart) at = checksumEnd
    const byte = block[at] ?? 0
    sum += byte
    high += byte >> 7
  }
  const expected = parseNumber(block.subarray(checksumStart, checksumEnd), 'a checksum')
  if (sum === expected || sum - 256 * high === expected) return
  throw invalidArchive(`the header at byte ${offset} has a wrong checksum`, { reason: 'checksum', offset })
}

function dialectOf(block: Buffer): TarHeader['dialect'] {
  const magic = block.toString('latin1', 257, 265)
  if (magic === 'ustar  \0') return 'gnu'
  if (!magic.startsWith('ustar\0')) return 'v7'
  return block.toString('latin1', 508, 512) === 'tar\0' ? 'star' : 'ustar'
}

function nameOf(block: Buffer, dialect: TarHeader['dialect']): string {
  const name = parseText(block.subarray(0, 100))
  if (dialect !== 'ustar' && dialect !== 'star') return name
  // star ends the prefix early and has times behind it.
  const prefix = parseText(block.subarray(345, dialect === 'star' ? 476 : 500))
  return prefix === '' ? name : `${prefix}/${name}`
}
