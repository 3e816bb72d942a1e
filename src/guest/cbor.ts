import { maxCborDepth } from './protocol.ts'

/**
 * CBOR (RFC 8949), restricted to what the wire protocol uses: integers of 64 bits, byte and text strings, arrays, maps
 * with text keys, booleans and null, all of definite length. No tags, no floats, no indefinite lengths, no duplicate
 * keys: what a hostile guest cannot say needs no handling. A general library would give it dates, regular expressions
 * and shared structures to build with.
 */
export type CborValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly CborValue[]
  | CborMap

export type CborMap = { readonly [key: string]: CborValue | undefined }

export function encodeCbor(value: CborValue): Buffer {
  const writer = new Writer()
  writeValue(writer, value, 0)
  return writer.take()
}

/** Decodes exactly one value. Throws `CborError` on anything malformed, out of bounds or left over. */
export function decodeCbor(bytes: Uint8Array): CborValue {
  const reader: Reader = { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), position: 0 }
  const value = readValue(reader, 0)
  if (reader.position !== reader.bytes.length) throw new CborError('bytes after the value')
  return value
}

export class CborError extends Error {}

const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, simple: 7 } as const
const simple = { false: 20, true: 21, null: 22 } as const

class Writer {
  #buffer = Buffer.allocUnsafe(256)
  #length = 0

  take(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  head(type: number, argument: number | bigint): void {
    this.#reserve(9)
    const lead = type << 5
    if (argument < 24) this.#length = this.#buffer.writeUInt8(lead | Number(argument), this.#length)
    else if (argument < 0x100) {
      this.#length = this.#buffer.writeUInt8(lead | 24, this.#length)
      this.#length = this.#buffer.writeUInt8(Number(argument), this.#length)
    } else if (argument < 0x10000) {
      this.#length = this.#buffer.writeUInt8(lead | 25, this.#length)
      this.#length = this.#buffer.writeUInt16BE(Number(argument), this.#length)
    } else if (argument < 0x100000000) {
      this.#length = this.#buffer.writeUInt8(lead | 26, this.#length)
      this.#length = this.#buffer.writeUInt32BE(Number(argument), this.#length)
    } else {
      this.#length = this.#buffer.writeUInt8(lead | 27, this.#length)
      this.#length = this.#buffer.writeBigUInt64BE(BigInt(argument), this.#length)
    }
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

function writeValue(writer: Writer, value: CborValue, depth: number): void {
  if (depth > maxCborDepth) throw new CborError(`nested deeper than ${maxCborDepth}`)
  if (value === null) writer.head(major.simple, simple.null)
  else if (typeof value === 'boolean') writer.head(major.simple, value ? simple.true : simple.false)
  else if (typeof value === 'number' || typeof value === 'bigint') writeInteger(writer, value)
  else if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'utf8')
    writer.head(major.text, bytes.length)
    writer.raw(bytes)
  } else if (value instanceof Uint8Array) {
    writer.head(major.bytes, value.length)
    writer.raw(value)
  } else if (isArray(value)) {
    writer.head(major.array, value.length)
    for (const item of value) writeValue(writer, item, depth + 1)
  } else {
    const entries = Object.entries(value).filter(entry => entry[1] !== undefined)
    writer.head(major.map, entries.length)
    for (const [key, item] of entries) {
      writeValue(writer, key, depth + 1)
      writeValue(writer, item ?? null, depth + 1)
    }
  }
}

function writeInteger(writer: Writer, value: number | bigint): void {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new CborError(`${value} is not a safe integer`)
  const integer = BigInt(value)
  const argument = integer < 0n ? -1n - integer : integer
  if (argument >= 1n << 64n) throw new CborError(`${value} needs more than 64 bits`)
  writer.head(
    integer < 0n ? major.negative : major.unsigned,
    argument < 0x100000000n ? Number(argument) : argument,
  )
}

type Reader = { readonly bytes: Buffer; position: number }

function readValue(reader: Reader, depth: number): CborValue {
  if (depth > maxCborDepth) throw new CborError(`nested deeper than ${maxCborDepth}`)
  const lead = take(reader, 1)[0] ?? 0
  const type = lead >> 5
  if (type === major.simple) return readSimple(lead & 31)
  const argument = readArgument(reader, lead & 31)
  switch (type) {
    case major.unsigned:
      return argument
    case major.negative:
      return typeof argument === 'number' ? -1 - argument : safeInteger(-1n - argument)
    case major.bytes:
      return Buffer.from(take(reader, argument))
    case major.text:
      return readText(reader, argument)
    case major.array:
      return readArray(reader, argument, depth)
    case major.map:
      return readMap(reader, argument, depth)
    default:
      throw new CborError('tags are not part of the protocol')
  }
}

function readSimple(argument: number): boolean | null {
  if (argument === simple.true) return true
  if (argument === simple.false) return false
  if (argument === simple.null) return null
  throw new CborError(`simple value ${argument} is not part of the protocol`)
}

function readArgument(reader: Reader, argument: number): number | bigint {
  if (argument < 24) return argument
  if (argument === 24) return take(reader, 1).readUInt8(0)
  if (argument === 25) return take(reader, 2).readUInt16BE(0)
  if (argument === 26) return take(reader, 4).readUInt32BE(0)
  if (argument === 27) return safeInteger(take(reader, 8).readBigUInt64BE(0))
  throw new CborError('indefinite lengths are not part of the protocol')
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readText(reader: Reader, length: number | bigint): string {
  try {
    return decoder.decode(take(reader, length))
  } catch (error) {
    if (error instanceof CborError) throw error
    throw new CborError('text that is not UTF-8', { cause: error })
  }
}

function readArray(reader: Reader, count: number | bigint, depth: number): CborValue[] {
  const items: CborValue[] = []
  // Every item takes at least a byte, so a lying count runs out of input before it costs memory.
  for (let index = 0; index < count; index++) items.push(readValue(reader, depth + 1))
  return items
}

function readMap(reader: Reader, count: number | bigint, depth: number): CborMap {
  // Without a prototype: `__proto__` is a key like any other.
  const map: { [key: string]: CborValue } = Object.create(null)
  for (let index = 0; index < count; index++) {
    const key = readValue(reader, depth + 1)
    if (typeof key !== 'string') throw new CborError('a map key that is not text')
    if (key in map) throw new CborError('a map key that stands twice')
    map[key] = readValue(reader, depth + 1)
  }
  return map
}

function take(reader: Reader, count: number | bigint): Buffer {
  const left = reader.bytes.length - reader.position
  if (count > left) throw new CborError(`${count} bytes wanted, ${left} there`)
  const start = reader.position
  reader.position += Number(count)
  return reader.bytes.subarray(start, reader.position)
}

function safeInteger(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value
}

// `Array.isArray` does not narrow a readonly array out of a union.
function isArray(value: CborValue): value is readonly CborValue[] {
  return Array.isArray(value)
}
