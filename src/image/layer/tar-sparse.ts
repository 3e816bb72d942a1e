import { Buffer } from 'node:buffer'
import { invalidArchive, overLimit } from './archive-error.ts'
import type { ByteReader } from './byte-reader.ts'
import { tarBlockBytes } from './tar-header.ts'
import { parseNumber } from './tar-number.ts'
import { type PaxRecords, parseDecimal } from './tar-pax.ts'

/** A file with holes: the pieces that are in the archive, one after the other, and where they belong. */
export type SparseMap = {
  /** Of the file, holes included. */
  readonly size: number
  /** Offset and length in turn, ascending. */
  readonly pieces: readonly number[]
}

/** What an extension header says of a sparse file. In version 1.0 the map is at the beginning of the data. */
export type PaxSparse = {
  readonly name: string | undefined
  readonly size: number
  readonly pieces: readonly number[] | 'in data'
}

/** GNU.sparse.* of versions 0.0, 0.1 and 1.0, or undefined. @throws `invalid_argument` */
export function paxSparse(records: PaxRecords): PaxSparse | undefined {
  const values = new Map(records.filter(([keyword]) => keyword.startsWith('GNU.sparse.')))
  if (values.size === 0) return undefined
  const text = (keyword: string): string | undefined =>
    values.get(`GNU.sparse.${keyword}`)?.toString('latin1')
  const size = text('realsize') ?? text('size')
  if (size === undefined) throw invalidArchive('a sparse file has no size')
  return {
    name: text('name'),
    size: parseDecimal(size, 'the size'),
    pieces: piecesOf(text('major'), text('minor'), text('map'), records),
  }
}

function piecesOf(
  major: string | undefined,
  minor: string | undefined,
  map: string | undefined,
  records: PaxRecords,
): PaxSparse['pieces'] {
  if (major === '1' && minor === '0') return 'in data'
  if (major !== undefined && major !== '0') throw invalidArchive(`it has sparse files of version ${major}`)
  if (map !== undefined)
    return map === '' ? [] : map.split(',').map(number => parseDecimal(number, 'the map'))
  // Version 0.0 repeats two keywords.
  return records
    .filter(([keyword]) => keyword === 'GNU.sparse.offset' || keyword === 'GNU.sparse.numbytes')
    .map(([, value]) => parseDecimal(value.toString('latin1'), 'the map'))
}

/** The map of GNU tar's type S: four pieces in the header, the rest in blocks behind it. */
export async function readGnuSparse(
  header: Buffer,
  reader: ByteReader,
  maxBytes: number,
): Promise<SparseMap> {
  const pieces: number[] = []
  const size = parseNumber(header.subarray(483, 495), 'a size')
  addPieces(header.subarray(386, 482), pieces)
  for (let more = header[482] !== 0, bytes = 0; more; bytes += tarBlockBytes) {
    if (bytes >= maxBytes) throw overLimit('the map of a sparse file does not end', `${maxBytes} bytes`)
    const block = await reader.require(tarBlockBytes)
    addPieces(block.subarray(0, 504), pieces)
    more = block[504] !== 0
  }
  return { size, pieces }
}

function addPieces(fields: Buffer, pieces: number[]): void {
  for (let at = 0; at < fields.length; at += 24) {
    if (fields[at] === 0) return
    pieces.push(
      parseNumber(fields.subarray(at, at + 12), 'an offset'),
      parseNumber(fields.subarray(at + 12, at + 24), 'a length'),
    )
  }
}

/** The map of version 1.0: decimal lines, padded to whole blocks; `bytes` is what it took of the data. */
export async function readDataMap(
  reader: ByteReader,
  dataBytes: number,
  maxBytes: number,
): Promise<{ pieces: number[]; bytes: number }> {
  const pieces: number[] = []
  let count = -1
  let line = ''
  let bytes = 0
  while (count < 0 || pieces.length < 2 * count) {
    if (bytes >= maxBytes) throw overLimit('the map of a sparse file does not end', `${maxBytes} bytes`)
    if (bytes + tarBlockBytes > dataBytes) throw invalidArchive('the map of a sparse file does not end')
    const lines = (line + (await reader.require(tarBlockBytes)).toString('latin1')).split('\n')
    bytes += tarBlockBytes
    line = lines.pop() ?? ''
    for (const text of lines) {
      if (count >= 0 && pieces.length === 2 * count) break
      const number = parseDecimal(text, 'the map')
      if (count < 0) count = number
      else pieces.push(number)
    }
    if (line.length > tarBlockBytes) throw invalidArchive('the map of a sparse file has no numbers')
  }
  return { pieces, bytes }
}

/** @throws `invalid_argument` unless the pieces ascend, fit in the file and are `dataBytes` together */
export function checkSparseMap({ size, pieces }: SparseMap, dataBytes: number): void {
  let end = 0
  let sum = 0
  for (let at = 0; at < pieces.length; at += 2) {
    const offset = pieces[at] ?? 0
    const length = pieces[at + 1] ?? -1
    if (offset < end || length < 0 || offset + length > size)
      throw invalidArchive('the map of a sparse file contradicts itself')
    end = offset + length
    sum += length
  }
  if (sum !== dataBytes || size < 0)
    throw invalidArchive(`a sparse file has ${dataBytes} bytes of data and a map for ${sum}`)
}

const zeros = Buffer.alloc(256 * 1024)

/** The whole file: the pieces from `data`, which has nothing else, and zeros between. */
export async function* expandSparse(
  { size, pieces }: SparseMap,
  data: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let position = 0
  let piece = 0
  let left = pieces[1] ?? 0
  for await (let chunk of data) {
    while (chunk.length > 0) {
      for (; left === 0 && piece < pieces.length; left = pieces[piece + 1] ?? 0) piece += 2
      const offset = (pieces[piece] ?? 0) + (pieces[piece + 1] ?? 0) - left
      yield* hole(offset - position)
      const part = chunk.subarray(0, left)
      yield part
      position = offset + part.length
      left -= part.length
      chunk = chunk.subarray(part.length)
    }
  }
  yield* hole(size - position)
}

function* hole(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= zeros.length)
    yield zeros.subarray(0, Math.min(left, zeros.length))
}
