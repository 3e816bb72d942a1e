import { Buffer } from 'node:buffer'
import { createReadStream, statSync } from 'node:fs'
import { CofferError, systemErrorCode } from '../../errors.ts'
import type { ManifestRow } from '../../state/images.ts'
import type { ConfigChanges } from '../commit/config-changes.ts'
import type { ContentStore } from '../content.ts'
import { type Compression, compressionOf, decompress } from '../layer/decompress.ts'
import { defaultLayerLimits } from '../layer/limits.ts'
import { readTar } from '../layer/tar.ts'
import { mediaTypes } from '../registry/media-types.ts'
import { writeTar } from '../save/tar-writer.ts'
import { layerMediaType, type WrittenLayer, writeLayer } from '../save/write-layer.ts'
import type { ImageStore } from '../store.ts'
import { bringIn } from './bring-in.ts'
import { newConfig, ociManifest } from './new-config.ts'
import { newNames } from './new-name.ts'
import { inSource, invalidSource } from './source-error.ts'
import { treeXattrs } from './tree-xattrs.ts'
import { walkDirectory } from './walk-directory.ts'

export type ImportOptions = {
  /** How the image is run: a root file system does not say. */
  readonly config?: ConfigChanges | undefined
  /** Default gzip. Of a directory, or a tar that is not compressed; others stay as they are. */
  readonly compression?: Compression | undefined
  /** For the history. */
  readonly message?: string | undefined
  /** Default now. */
  readonly createdAt?: Date | undefined
  /** Of the layer as a tar. Default 63 GiB. */
  readonly maxBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece of the layer. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/**
 * Makes an image of one layer from a root file system: a directory of the host (see `walkDirectory` for what of it), a tar, plain, gzip or zstd,
 * or the bytes of one. Extended attributes of a directory need the command getfattr.
 *
 * @param name the image's; undefined for one that only its digest names
 * @throws `not_found`, `invalid_argument`, `resource_exhausted`, `aborted`, `storage_error`
 */
export async function importRootfs(
  source: string | AsyncIterable<Uint8Array>,
  name: string | undefined,
  store: ImageStore,
  options: ImportOptions = {},
): Promise<ManifestRow> {
  const names = newNames(name)
  const label = typeof source === 'string' ? source : 'the archive'
  try {
    return await bringIn(store, options.signal, async content => {
      const isDirectory = typeof source === 'string' && findDirectory(source)
      const tar = typeof source === 'string' && !isDirectory ? createReadStream(source, readSize) : source
      const layer =
        typeof tar === 'string'
          ? await layerOfDirectory(tar, content, options)
          : await layerOfTar(tar, content, options)
      return await addLayer(layer, names, store, content, options)
    })
  } catch (error) {
    throw inSource(`import ${label}`, error)
  }
}

async function addLayer(
  { diffId, descriptor }: WrittenLayer,
  names: readonly string[],
  store: ImageStore,
  content: ContentStore,
  options: ImportOptions,
): Promise<ManifestRow> {
  const config = newConfig({
    diffIds: [diffId],
    createdAt: options.createdAt ?? new Date(),
    comment: options.message ?? 'imported by coffer',
    changes: options.config ?? {},
  })
  const manifest = ociManifest(await content.writeBytes(config), [descriptor])
  return await store.add({ manifest, mediaType: mediaTypes.ociManifest, names })
}

const readSize = { highWaterMark: 256 * 1024 }

async function layerOfDirectory(
  path: string,
  content: ContentStore,
  options: ImportOptions,
): Promise<WrittenLayer> {
  const xattrs = await treeXattrs(path, options.signal)
  return await writeLayer(content, writeTar(walkDirectory(path, { xattrs })), limited(options))
}

async function layerOfTar(
  source: AsyncIterable<Uint8Array>,
  content: ContentStore,
  options: ImportOptions,
): Promise<WrittenLayer> {
  const pieces = source[Symbol.asyncIterator]()
  let start = Buffer.alloc(0)
  while (start.length < 4) {
    const { done, value } = await pieces.next()
    if (done === true) break
    start = Buffer.concat([start, value])
  }
  const whole = startingWith(start, pieces)
  const compression = compressionOf(start)
  if (compression !== 'none') return await storeCompressed(whole, compression, content, options)
  const layer = await writeLayer(content, whole, limited(options))
  await checkTar(decompress(content.open(layer.descriptor.digest), limited(options)).stream)
  return layer
}

async function storeCompressed(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  content: ContentStore,
  options: ImportOptions,
): Promise<WrittenLayer> {
  const { maxBytes } = limited(options)
  const { digest, bytes } = await content.write(source, { maxBytes }, options)
  const unpacked = decompress(content.open(digest), { maxBytes })
  await checkTar(unpacked.stream)
  const descriptor = { mediaType: layerMediaType(compression), digest, size: bytes }
  return { descriptor, diffId: unpacked.digest() }
}

/** What is no tar is refused now and not when a box is to be started from it. */
async function checkTar(stream: AsyncIterable<Uint8Array>): Promise<void> {
  let entries = 0
  for await (const _ of readTar(stream)) {
    entries += 1
    if (entries > defaultLayerLimits.maxEntries)
      throw new CofferError('resource_exhausted', `it has more than ${defaultLayerLimits.maxEntries} entries`)
  }
  if (entries === 0) throw invalidSource('the archive is empty')
}

const limited = (options: ImportOptions) => ({
  ...options,
  maxBytes: options.maxBytes ?? defaultLayerLimits.maxBytes,
})

async function* startingWith(
  start: Buffer,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    if (start.length > 0) yield start
    yield* { [Symbol.asyncIterator]: () => rest }
  } finally {
    await rest.return?.()
  }
}

function findDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (error) {
    const code = systemErrorCode(error)
    throw new CofferError(
      code === 'ENOENT' ? 'not_found' : 'storage_error',
      `it cannot be read (${code ?? error})`,
      {
        cause: error,
        details: { path },
      },
    )
  }
}
