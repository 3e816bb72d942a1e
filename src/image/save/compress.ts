import { Buffer } from 'node:buffer'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import type { Compression } from '../layer/decompress.ts'

const outputBytes = 256 * 1024
const pieceBytes = 256 * 1024

/** The same bytes always give the same: no time, no name. gzip is at its fastest, which costs a tenth in size and saves four fifths of the time. */
export async function* compress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Uint8Array, void, void> {
  if (compression === 'none') yield* source
  else yield* through(source, codecOf(compression))
}

function codecOf(compression: 'gzip' | 'zstd'): Transform {
  if (compression === 'gzip') return createGzip({ level: constants.Z_BEST_SPEED, chunkSize: outputBytes })
  const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 }
  return createZstdCompress({ chunkSize: outputBytes, params })
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  codec: Transform,
): AsyncGenerator<Uint8Array, void, void> {
  const feeding = pipeline(Readable.from(inPieces(source)), codec)
  // Whatever fails there destroys the codec, and so fails the loop below as well.
  feeding.catch(() => {})
  try {
    for await (const chunk of codec) yield chunk
    await feeding
  } finally {
    codec.destroy()
    await feeding.catch(() => {})
  }
}

/** Of one size: what zstd makes of the same bytes depends on how it gets them. */
async function* inPieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, void> {
  let piece = Buffer.allocUnsafe(pieceBytes)
  let held = 0
  for await (const chunk of source)
    for (let at = 0; at < chunk.length; ) {
      const count = Math.min(chunk.length - at, pieceBytes - held)
      piece.set(chunk.subarray(at, at + count), held)
      at += count
      held += count
      if (held < pieceBytes) continue
      yield piece
      piece = Buffer.allocUnsafe(pieceBytes)
      held = 0
    }
  if (held > 0) yield piece.subarray(0, held)
}
