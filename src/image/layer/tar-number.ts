import type { Buffer } from 'node:buffer'
import { invalidArchive } from './archive-error.ts'

/**
 * A number of a tar header: octal digits between spaces and NULs, nothing for zero, or what GNU tar writes for numbers that
 * need more room: the first bit set, then a big-endian integer in two's complement.
 *
 * @throws `invalid_argument` if it is none of these, or beyond 2^53
 */
export function parseNumber(field: Buffer, what: string): number {
  return ((field[0] ?? 0) & 0x80) === 0 ? parseOctal(field, what) : parseBase256(field, what)
}

/** The bytes before the first NUL, as latin1. */
export function parseText(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('latin1', 0, end < 0 ? field.length : end)
}

const space = 0x20
const zero = 0x30

function parseOctal(field: Buffer, what: string): number {
  let at = 0
  while (at < field.length && (field[at] === space || field[at] === 0)) at++
  let value = 0
  for (; at < field.length; at++) {
    const digit = (field[at] ?? 0) - zero
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  const ended = at === field.length || field[at] === space || field[at] === 0
  if (ended && Number.isSafeInteger(value)) return value
  throw invalidArchive(`${what} is not a number: ${JSON.stringify(field.toString('latin1'))}`)
}

function parseBase256(field: Buffer, what: string): number {
  // A fill of all ones is -1: without the flag, the highest bit left says the sign.
  let value = BigInt((field[0] ?? 0) & 0x7f)
  if ((value & 0x40n) !== 0n) value -= 0x80n
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte)
  if (value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER))
    return Number(value)
  throw invalidArchive(`${what} is beyond all bounds: ${value}`)
}
