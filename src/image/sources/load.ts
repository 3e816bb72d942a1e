import { createReadStream, statSync } from 'node:fs'
import { CofferError, isCofferError, systemErrorCode } from '../../errors.ts'
import type { ManifestRow } from '../../state/images.ts'
import type { ContentStore } from '../content.ts'
import { canonicalName } from '../find.ts'
import { defaultLayerLimits } from '../layer/limits.ts'
import { type ImageReference, parseReference } from '../reference.ts'
import type { ImageStore } from '../store.ts'
import { ArchiveFiles } from './archive-files.ts'
import { bringIn } from './bring-in.ts'
import { imagesOfDockerArchive } from './docker-archive.ts'
import type { BlobSource, FoundImage } from './found-image.ts'
import { LayoutDirectory } from './layout-directory.ts'
import { newNames } from './new-name.ts'
import { imagesOfIndex } from './oci-index.ts'
import { inSource, invalidSource } from './source-error.ts'

export type LoadOptions = {
  /**
   * `team/app`, or `team/app:1`: the name of an image that has none, or whose name in an OCI layout is a mere tag (`1.2`), which
   * then takes the place of this name's own.
   */
  readonly name?: string | undefined
  /** Of the archive, decompressed, and of all that is in it. Default 63 GiB. */
  readonly maxBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece that was read. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/**
 * Takes in all images of a Docker archive (`docker save`), an OCI archive, either of them plain, gzip or zstd, or an OCI layout directory: what
 * `source` is decides its content. A stream is read once, in whatever order its files come.
 *
 * @param source a path, or the bytes of an archive
 * @throws `not_found`, `invalid_argument`, `unsupported`, `resource_exhausted`, `image_pull_failed` for content that is not what its digest
 *   says, `aborted`, `storage_error`
 */
export async function loadImages(
  source: string | AsyncIterable<Uint8Array>,
  store: ImageStore,
  options: LoadOptions = {},
): Promise<ManifestRow[]> {
  const label = typeof source === 'string' ? source : 'the archive'
  try {
    return await takeImages(source, store, options)
  } catch (error) {
    throw inSource(`load ${label}`, error)
  }
}

/** `loadImages` without its name for the source in messages. */
export async function takeImages(
  source: string | AsyncIterable<Uint8Array>,
  store: ImageStore,
  options: LoadOptions,
): Promise<ManifestRow[]> {
  if (options.name !== undefined) newNames(options.name)
  return await bringIn(store, options.signal, async content => {
    const found =
      typeof source === 'string' && isDirectory(source)
        ? await fromDirectory(source, content, options)
        : await fromArchive(source, content, options)
    return await addAll(found, store, options.name)
  })
}

async function fromDirectory(
  path: string,
  content: ContentStore,
  options: LoadOptions,
): Promise<FoundImage[]> {
  const layout = new LayoutDirectory(path, content, options)
  return await imagesOfIndex(await layout.index(), layout, content)
}

async function fromArchive(
  source: string | AsyncIterable<Uint8Array>,
  content: ContentStore,
  options: LoadOptions,
): Promise<FoundImage[]> {
  const stream = typeof source === 'string' ? openArchive(source) : source
  const maxBytes = options.maxBytes ?? defaultLayerLimits.maxBytes
  const files = await ArchiveFiles.read(stream, content, { ...options, maxBytes })
  // Docker's since version 25 are both; the OCI form has the digests that registries know.
  const index = files.find('index.json')
  if (index !== undefined && files.find('oci-layout') !== undefined) {
    const blobs: BlobSource = { take: async ({ digest }) => content.has(digest) }
    return await imagesOfIndex(content.read(index.digest, maxDocumentBytes), blobs, content)
  }
  const manifest = files.find('manifest.json')
  if (manifest === undefined) throw noImages(files)
  return imagesOfDockerArchive(content.read(manifest.digest, maxDocumentBytes), files)
}

const maxDocumentBytes = 4 << 20
const readBytes = 256 * 1024

async function* openArchive(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: readBytes })
  } catch (error) {
    throw unreadable(path, error)
  }
}

async function addAll(
  found: readonly FoundImage[],
  store: ImageStore,
  name: string | undefined,
): Promise<ManifestRow[]> {
  const records: ManifestRow[] = []
  for (const { manifest, mediaType, names } of found)
    records.push(await store.add({ manifest, mediaType, names: canonicalNames(names, name) }))
  return records
}

/** A name in an OCI layout may be anything: what is no reference names no image here. */
function canonicalNames(names: readonly string[], given: string | undefined): string[] {
  if (names.length === 0) return newNames(given)
  return names.flatMap(name => {
    const reference =
      given !== undefined && isTagOnly(name) ? { ...parseReference(given), tag: name } : tryParse(name)
    return reference === undefined ? [] : [canonicalName(reference)]
  })
}

const isTagOnly = (name: string): boolean => /^\w[\w.-]{0,127}$/.test(name)

function tryParse(name: string): ImageReference | undefined {
  try {
    return parseReference(name)
  } catch (error) {
    if (isCofferError(error, 'invalid_argument')) return undefined
    throw error
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): CofferError {
  const code = systemErrorCode(error)
  const [kind, problem] =
    code === 'ENOENT'
      ? (['not_found', 'there is no such file'] as const)
      : (['storage_error', `it cannot be read (${code ?? error})`] as const)
  return new CofferError(kind, problem, { cause: error, details: { path } })
}

function noImages(files: ArchiveFiles): CofferError {
  return files.find('repositories') === undefined
    ? invalidSource(
        'the archive has neither an index.json nor a manifest.json',
        'It is no archive of images. A root file system is imported with coffer import-rootfs.',
      )
    : new CofferError('unsupported', 'the archive has the format of before Docker 1.10', {
        hint: 'Load it into a current Docker and save it again.',
      })
}
