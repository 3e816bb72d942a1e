import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { CofferError, systemErrorCode } from '../../errors.ts'
import { layerCompression } from '../registry/media-types.ts'
import { maxWindowLog, zstdFrames } from './zstd-frames.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

export type DecompressOptions = {
  /** What the layer is said to be; it is an error if it is not. Without it the bytes decide. */
  readonly mediaType?: string | undefined
  /** Decompressed bytes beyond which the stream fails. */
  readonly maxBytes: number
  /** Of the diff id. Default sha256. */
  readonly algorithm?: 'sha256' | 'sha512' | undefined
}

export type Decompressed = {
  /** To be read once. */
  readonly stream: AsyncIterable<Uint8Array>
  /** `ALGORITHM:HEX` of what was read of the stream so far; once, when it has ended. */
  digest(): string
}

// Large pieces: each one is a trip to a thread and back. More than this pays no more and costs memory.
const inputBytes = 128 * 1024
const outputBytes = 256 * 1024

/**
 * Decompresses a layer: gzip, zstd or plain, hashing on the way. Members and frames may follow each other, as in archives made
 * to be read in parts; behind the last one only zeros (gzip) or nothing (zstd) may stand.
 *
 * @throws while being read: `invalid_argument` if the data is damaged, cut short or not of the media type;
 *   `resource_exhausted` beyond `maxBytes` or for a window over 128 MiB; what the source throws
 */
export function decompress(source: AsyncIterable<Uint8Array>, options: DecompressOptions): Decompressed {
  const algorithm = options.algorithm ?? 'sha256'
  const hash = createHash(algorithm)
  async function* read(): AsyncGenerator<Uint8Array, void, void> {
    let bytes = 0
    for await (const chunk of open(inLargePieces(source), options.mediaType)) {
      bytes += chunk.length
      if (bytes > options.maxBytes) throw tooLarge(options.maxBytes)
      hash.update(chunk)
      yield chunk
    }
  }
  return { stream: read(), digest: () => `${algorithm}:${hash.digest('hex')}` }
}

// The first piece is long enough for every magic number, unless it is all there is.
async function* open(
  source: AsyncGenerator<Buffer, void, void>,
  mediaType: string | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    const { value: first = Buffer.alloc(0) } = await source.next()
    const compression = compressionOf(first)
    checkMediaType(compression, mediaType)
    const whole = startingWith(first, source)
    if (compression === 'none') yield* whole
    else if (compression === 'gzip') yield* transform(whole, createGunzip({ chunkSize: outputBytes }))
    else yield* transform(zstdFrames(whole, inputBytes), createZstd())
  } finally {
    await source.return()
  }
}

const createZstd = (): Transform =>
  createZstdDecompress({
    chunkSize: outputBytes,
    params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog },
  })

async function* transform(
  source: AsyncIterable<Uint8Array>,
  codec: Transform,
): AsyncGenerator<Uint8Array, void, void> {
  const feeding = pipeline(Readable.from(source, { highWaterMark: 2 }), codec)
  // Whatever fails there destroys the codec, and so fails the loop below as well.
  feeding.catch(() => {})
  try {
    for await (const chunk of codec) yield chunk
  } catch (error) {
    throw damaged(error)
  } finally {
    codec.destroy()
    await feeding.catch(() => {})
  }
}

async function* inLargePieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, void> {
  let held: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of source) {
    held.push(chunk)
    bytes += chunk.length
    if (bytes < inputBytes) continue
    yield joined(held)
    held = []
    bytes = 0
  }
  if (bytes > 0) yield joined(held)
}

function joined(pieces: readonly Uint8Array[]): Buffer {
  const [only] = pieces
  if (only === undefined || pieces.length > 1) return Buffer.concat(pieces)
  return Buffer.from(only.buffer, only.byteOffset, only.byteLength)
}

async function* startingWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  if (first.length > 0) yield first
  yield* rest
}

/** By the first bytes, of which four are enough. */
export function compressionOf(start: Buffer): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip'
  if (start.length < 4) return 'none'
  const magic = start.readUInt32LE(0)
  return magic === 0xfd2f_b528 || magic >>> 4 === 0x0184_d2a5 ? 'zstd' : 'none'
}

function checkMediaType(found: Compression, mediaType: string | undefined): void {
  if (mediaType === undefined) return
  const expected = layerCompression(mediaType)
  if (expected === undefined) throw noLayer(mediaType)
  if (found === expected) return
  throw new CofferError(
    'invalid_argument',
    `cannot read layer: its media type is ${mediaType}, its content is ${describe(found)}`,
    { hint: 'The image or its registry mixes things up: push it again.', details: { mediaType, found } },
  )
}

function noLayer(mediaType: string): CofferError {
  return new CofferError('unsupported', `cannot read a layer of media type ${mediaType}`, {
    hint: 'Layers are tar archives: plain, gzip or zstd. Encrypted ones have to be decrypted first.',
    details: { mediaType },
  })
}

const describe = (compression: Compression): string =>
  compression === 'none' ? 'not compressed' : `compressed with ${compression}`

function damaged(error: unknown): unknown {
  const code = systemErrorCode(error) ?? ''
  if (!/^(Z_|ZSTD_)/.test(code)) return error
  const reason = code === 'Z_BUF_ERROR' ? 'it is cut short' : error instanceof Error ? error.message : code
  return new CofferError('invalid_argument', `cannot decompress layer: ${reason}`, {
    hint: 'The layer is damaged: pull or make the image again.',
    cause: error,
    details: { reason: code === 'Z_BUF_ERROR' ? 'truncated' : 'damaged' },
  })
}

function tooLarge(maxBytes: number): CofferError {
  return new CofferError(
    'resource_exhausted',
    `cannot decompress layer: it has more than ${maxBytes} bytes in all`,
    { hint: 'Images have to fit on the disk of a box, which has 64 GiB.', details: { maxBytes } },
  )
}
