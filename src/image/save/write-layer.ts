import { createHash } from 'node:crypto'
import { CofferError } from '../../errors.ts'
import type { ContentStore } from '../content.ts'
import type { Compression } from '../layer/decompress.ts'
import type { Descriptor } from '../registry/manifest.ts'
import { compress } from './compress.ts'
import { checkAborted } from './hold-images.ts'

export type WrittenLayer = {
  readonly descriptor: Descriptor
  /** Of the tar before its compression. */
  readonly diffId: string
}

export type LayerOptions = {
  /** Default gzip, which everything reads. */
  readonly compression?: Compression | undefined
  /** Of the tar. */
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece of the tar. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

const suffixes = { none: '', gzip: '+gzip', zstd: '+zstd' } as const

export const layerMediaType = (compression: Compression): string =>
  `application/vnd.oci.image.layer.v1.tar${suffixes[compression]}`

/**
 * Compresses a tar into a blob of the content store.
 *
 * @throws `resource_exhausted` beyond `maxBytes`, `aborted`; what the tar throws, and the store
 */
export async function writeLayer(
  content: ContentStore,
  tar: AsyncIterable<Uint8Array>,
  options: LayerOptions,
): Promise<WrittenLayer> {
  const compression = options.compression ?? 'gzip'
  const hash = createHash('sha256')
  async function* metered(): AsyncGenerator<Uint8Array, void, void> {
    let bytes = 0
    for await (const chunk of tar) {
      checkAborted('writing a layer', options.signal)
      bytes += chunk.length
      if (bytes > options.maxBytes) throw tooLarge(options.maxBytes)
      hash.update(chunk)
      options.onBytes?.(chunk.length)
      yield chunk
    }
  }
  // Incompressible data grows by five bytes in each 16 KiB at most.
  const maxBytes = options.maxBytes + Math.ceil(options.maxBytes / 1000) + 4096
  const { digest, bytes } = await content.write(
    compress(metered(), compression),
    { maxBytes },
    { signal: options.signal },
  )
  const descriptor = { mediaType: layerMediaType(compression), digest, size: bytes }
  return { descriptor, diffId: `sha256:${hash.digest('hex')}` }
}

function tooLarge(maxBytes: number): CofferError {
  return new CofferError('resource_exhausted', `cannot write layer: it has more than ${maxBytes} bytes`, {
    hint: 'Images have to fit on the disk of a box, which has 64 GiB.',
    details: { maxBytes },
  })
}
