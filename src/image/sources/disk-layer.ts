import { Buffer } from 'node:buffer'
import { open } from 'node:fs/promises'
import { CofferError } from '../../errors.ts'
import { blockDeviceBytes } from '../../vm/machine.ts'
import { decompress } from '../layer/decompress.ts'
import type { LayerSource } from '../layer/merge.ts'
import { checkAborted } from '../save/hold-images.ts'
import { diskFileSystem, diskStartBytes } from './disk-file-system.ts'
import { diskMediaType } from './disk-media-types.ts'
import { readAt } from './read-at.ts'

type UnpackOptions = {
  readonly limits: { readonly maxBytes: number }
  readonly signal?: AbortSignal | undefined
  /** Called as often as bytes arrive, with all of them so far as stored. */
  readonly onProgress?: ((progress: { readonly layer: 0; readonly bytes: number }) => void) | undefined
}

const blockBytes = 4096
const zeros = Buffer.alloc(blockBytes)

/**
 * Writes the file system of a disk layer into a sparse file at `outputPath`. It is looked at again: such a layer may come from a registry.
 *
 * @throws as `mergeLayers` does for a layer, and as `diskFileSystem`
 */
export async function unpackDisk(
  layer: LayerSource,
  outputPath: string,
  options: UnpackOptions,
): Promise<void> {
  const { maxBytes } = options.limits
  const { stream, digest } = decompress(counted(layer, options), {
    maxBytes: blockDeviceBytes,
    algorithm: layer.diffId?.startsWith('sha512:') ? 'sha512' : 'sha256',
  })
  await using file = await open(outputPath, 'w+', 0o600)
  let position = 0
  let dataBytes = 0
  for await (const piece of inBlocks(stream)) {
    checkAborted('preparing the image', options.signal)
    for (const [start, end] of dataRanges(piece)) {
      dataBytes += end - start
      if (dataBytes > maxBytes) throw tooLarge(maxBytes)
      await file.write(piece, start, end - start, position + start)
    }
    position += piece.length
  }
  await file.truncate(position)
  const found = digest()
  if (layer.diffId !== undefined && layer.diffId !== found)
    throw new CofferError('invalid_argument', `the disk of the image is ${found}, not ${layer.diffId}`, {
      details: { reason: 'digest', expected: layer.diffId, found },
    })
  const { kind } = diskFileSystem(await readAt(file, 0, Math.min(diskStartBytes, position)), position)
  if (layer.mediaType !== diskMediaType(kind))
    throw new CofferError('invalid_argument', `the disk of the image has ${kind}, and not what its type says`)
}

async function* counted(
  layer: LayerSource,
  { onProgress }: UnpackOptions,
): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0
  for await (const chunk of layer.open()) {
    bytes += chunk.length
    onProgress?.({ layer: 0, bytes })
    yield chunk
  }
}

/** Pieces of whole blocks, but the last. */
async function* inBlocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, void> {
  let rest = Buffer.alloc(0)
  for await (const chunk of source) {
    const piece =
      rest.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([rest, chunk])
    const whole = piece.length - (piece.length % blockBytes)
    if (whole > 0) yield piece.subarray(0, whole)
    rest = Buffer.from(piece.subarray(whole))
  }
  if (rest.length > 0) yield rest
}

/** Where a piece is not zero, in whole blocks. */
function dataRanges(piece: Buffer): [start: number, end: number][] {
  const ranges: [number, number][] = []
  for (let at = 0; at < piece.length; at += blockBytes) {
    const end = Math.min(at + blockBytes, piece.length)
    if (piece.compare(zeros, 0, end - at, at, end) === 0) continue
    const last = ranges.at(-1)
    if (last !== undefined && last[1] === at) last[1] = end
    else ranges.push([at, end])
  }
  return ranges
}

function tooLarge(maxBytes: number): CofferError {
  return new CofferError(
    'resource_exhausted',
    `the disk of the image has more than ${maxBytes} bytes of data`,
    {
      hint: 'Free some space (coffer prune), or use a smaller image.',
      details: { maxBytes },
    },
  )
}
