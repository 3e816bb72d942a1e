import { CofferError } from '../../errors.ts'
import { isDaemonName } from '../daemon-name.ts'
import type { Digest } from '../digest.ts'
import { type ImageReference, parseReference } from '../reference.ts'
import type { RegistryClient } from '../registry/client.ts'
import type { Descriptor } from '../registry/manifest.ts'
import type { ImageStore } from '../store.ts'
import { holdImages } from './hold-images.ts'
import { readImage, type SavedImage } from './saved-image.ts'

export type PushProgress = {
  readonly digest: Digest
  /** Of `totalBytes`. Goes back when a blob has to be sent again. */
  readonly bytes: number
  readonly totalBytes: number
  /** `existed` and `mounted` cost no bytes. */
  readonly phase: 'uploading' | 'existed' | 'mounted' | 'uploaded'
}

export type PushOptions = {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: PushProgress) => void) | undefined
}

// As Docker: more does not help a registry, and each holds a connection.
const uploadsAtOnce = 3

/**
 * Puts an image of the store into a registry under `target`: the blobs that are missing there, then the manifest with the very bytes it has
 * here, so its digest stays. Returns what `target` now names.
 *
 * @throws `not_found` for an image that is not in the store; `unsupported` for `docker-daemon:NAME`; as `RegistryClient`
 */
export async function pushImage(
  store: ImageStore,
  name: string,
  target: string,
  client: RegistryClient,
  options: PushOptions = {},
): Promise<Descriptor> {
  if (isDaemonName(target)) throw notRegistry(target)
  const reference = parseReference(target)
  using _lock = await holdImages(store, `the push to ${target}`, options.signal)
  const image = readImage(store, await store.require(name))
  await uploadBlobs(image, store, reference, client, options)
  const { descriptor, bytes } = image
  return await client.uploadManifest(reference, bytes, descriptor.mediaType, { signal: options.signal })
}

function notRegistry(target: string): CofferError {
  return new CofferError('unsupported', `cannot push to ${target}: images only come from Docker or Podman`, {
    hint: 'They load what is saved: coffer save NAME | docker load',
  })
}

async function uploadBlobs(
  { descriptor, manifest }: SavedImage,
  store: ImageStore,
  reference: ImageReference,
  client: RegistryClient,
  options: PushOptions,
): Promise<void> {
  const names = store.context.store.images.namesOf(descriptor.digest).map(row => row.reference)
  const mountFrom = otherRepository(names, reference)
  const blobs = new Map([...manifest.layers, manifest.config].map(blob => [blob.digest, blob]))
  const queue = [...blobs.values()]
  // The first failure ends the others as well.
  const failed = new AbortController()
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal])
  const worker = async (): Promise<void> => {
    for (let blob = queue.shift(); blob !== undefined; blob = queue.shift())
      await uploadBlob(blob, store, reference, client, { ...options, signal, mountFrom })
  }
  const workers = Array.from({ length: uploadsAtOnce }, () =>
    worker().catch((error: unknown) => {
      failed.abort(error)
      throw error
    }),
  )
  const results = await Promise.allSettled(workers)
  if (options.signal?.aborted !== true && failed.signal.aborted) throw failed.signal.reason
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

async function uploadBlob(
  { digest, size }: Descriptor,
  { content }: ImageStore,
  reference: ImageReference,
  client: RegistryClient,
  { signal, mountFrom, onProgress }: PushOptions & { readonly mountFrom: string | undefined },
): Promise<void> {
  let bytes = 0
  const tell = (phase: PushProgress['phase']): void =>
    onProgress?.({ digest, bytes, totalBytes: size, phase })
  const open = (): AsyncIterable<Uint8Array> => {
    bytes = 0
    return content.open(digest)
  }
  const onBytes = (count: number): void => {
    bytes += count
    tell('uploading')
  }
  const outcome = await client.uploadBlob(reference, { digest, size, open }, { signal, mountFrom, onBytes })
  bytes = size
  tell(outcome)
}

/** Where the same registry may have the layers already, by the image's other names. */
function otherRepository(
  names: readonly string[],
  { registry, repository }: ImageReference,
): string | undefined {
  return names
    .map(parseReference)
    .find(other => other.registry === registry && other.repository !== repository)?.repository
}
