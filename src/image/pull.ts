import { existsSync } from 'node:fs'
import { CofferError, isCofferError } from '../errors.ts'
import type { ManifestRow } from '../state/images.ts'
import { abortError } from './abort-error.ts'
import { maxConfigBytes, type ParsedConfig } from './config.ts'
import { isDaemonName, nameAtDaemon } from './daemon-name.ts'
import { parseDigest } from './digest.ts'
import { checkDiskSpace } from './disk-space.ts'
import { type FetchSource, fetchBlob } from './fetch-blob.ts'
import { candidatesOf, canonicalName, findImage, isImageId, loadSettings } from './find.ts'
import type { PullPolicy } from './images.ts'
import { LayerFetch, uniqueLayers } from './layer-fetch.ts'
import { checkPlatform } from './platform-check.ts'
import { type ImageProgressListener, LayersProgress } from './progress.ts'
import { evict } from './prune.ts'
import { formatReference, type ImageReference } from './reference.ts'
import { type FetchedImage, RegistryClient } from './registry/client.ts'
import { credentialsOfHome } from './registry/credentials.ts'
import type { Descriptor, ImageManifest } from './registry/manifest.ts'
import { parsePlatform } from './registry/platform.ts'
import { buildRootfs } from './rootfs.ts'
import { chainIdOf, rootfsPath } from './rootfs-path.ts'
import type { ImageStore } from './store.ts'

export type PullOptions = {
  /** Default `missing`. */
  readonly policy?: PullPolicy | undefined
  /** `linux/amd64`, also with a variant: nothing else runs. */
  readonly platform?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ImageProgressListener | undefined
}

/**
 * Brings an image in from where its name says: a registry, or, as `docker-daemon:NAME`, Docker or Podman of this machine. What a name means to boxes
 * and to whoever pulls is decided here and in `findImage`.
 *
 * @throws `not_found`, `unauthenticated`, `permission_denied`, `network_unavailable`, `upstream_unavailable`, `timeout` as the registry has it;
 *   `image_pull_failed` for wrong bytes; `unsupported` for what boxes cannot run; `resource_exhausted`, `storage_error`, `aborted`
 */
export async function pullImage(
  store: ImageStore,
  name: string,
  options: PullOptions = {},
): Promise<ManifestRow> {
  const { policy = 'missing', platform, signal, onProgress } = options
  try {
    if (platform !== undefined) checkPlatform(platform)
    // 1. What is here.
    const local = await findImage(store.context, name)
    if (policy !== 'always' && local !== undefined) return local
    if (policy === 'never') throw notHere(name, 'and it may not be pulled')
    if (isImageId(name)) {
      if (local !== undefined) return local
      throw notHere(name, 'and no registry knows images by their ids')
    }
    // 2. What its source has.
    onProgress?.({ step: `pulling image ${name}` })
    const row = isDaemonName(name)
      ? await pullFromDaemon(store, name, options)
      : await pullFromRegistry(store, name, options)
    // 3. Room for the next one.
    await evict(store, row.digest)
    return row
  } catch (error) {
    throw pullError(name, signal, error)
  }
}

async function pullFromDaemon(
  store: ImageStore,
  name: string,
  { signal }: PullOptions,
): Promise<ManifestRow> {
  const { loadFromDaemon } = await import('./sources/daemon.ts')
  return await loadFromDaemon(nameAtDaemon(name), store, { signal })
}

async function pullFromRegistry(store: ImageStore, name: string, options: PullOptions): Promise<ManifestRow> {
  await using client = new RegistryClient({
    settings: await loadSettings(store.context),
    credentials: credentialsOfHome(store.context.home.path),
  })
  return await new Pull(store, client, name, options).run()
}

/**
 * All blobs of an image, three at a time, and its layers merged, each as soon as it and all below it are there. What is here is not fetched again,
 * what an earlier pull began is gone on with, and what another process fetches is waited for.
 */
class Pull {
  readonly #store: ImageStore
  readonly #client: RegistryClient
  readonly #name: string
  readonly #options: PullOptions

  constructor(store: ImageStore, client: RegistryClient, name: string, options: PullOptions) {
    this.#store = store
    this.#client = client
    this.#name = name
    this.#options = options
  }

  async run(): Promise<ManifestRow> {
    const { signal, platform } = this.#options
    const wanted = platform === undefined ? undefined : parsePlatform(platform)
    // 1. Which image it is now.
    const { reference, descriptor } = await this.#client.resolveFirst(
      await candidatesOf(this.#store.context, this.#name),
      { signal },
    )
    const known = this.#known(reference, descriptor)
    if (known !== undefined) {
      this.#store.context.store.images.touch(known.digest, Date.now())
      return known
    }
    using _lock = await this.#store.hold(signal)
    const image = await this.#client.fetchImage(reference, {
      signal,
      expected: descriptor,
      ...(wanted === undefined ? {} : { platform: wanted }),
    })
    // 2. Its configuration, which names the file system the layers make.
    const source: FetchSource = {
      home: this.#store.context.home,
      content: this.#store.content,
      client: this.#client,
      reference,
    }
    const config = await this.#fetchConfig(source, image.manifest)
    // 3. Its layers.
    await this.#fetchLayers(source, image.manifest, config)
    return await this.#add(reference, image, descriptor)
  }

  /** Where the name means what it meant here, there is nothing to do. */
  #known(reference: ImageReference, { digest }: Descriptor): ManifestRow | undefined {
    const { images } = this.#store.context.store
    const name = images.findName(canonicalName(reference))
    if (name?.sourceDigest !== digest) return undefined
    const row = images.find(name.manifestDigest)
    if (row === undefined || !existsSync(rootfsPath(this.#store.context.home, row.chainId))) return undefined
    const isWhole = images
      .blobsOf(row.digest)
      .every(blob => this.#store.content.has(parseDigest(blob.digest)))
    return isWhole ? row : undefined
  }

  async #fetchConfig(source: FetchSource, manifest: ImageManifest): Promise<ParsedConfig> {
    const { config } = manifest
    if (config.size > maxConfigBytes)
      throw new CofferError('image_pull_failed', `the configuration of the image has ${config.size} bytes`, {
        details: { maxBytes: maxConfigBytes },
      })
    await fetchBlob(source, config, { signal: this.#options.signal })
    return this.#store.readConfig(manifest)
  }

  /** Fetches and merges, each layer as soon as it and all below it are there. */
  async #fetchLayers(source: FetchSource, manifest: ImageManifest, { diffIds }: ParsedConfig): Promise<void> {
    const { home, settings } = this.#store.context
    const layers = uniqueLayers(manifest.layers)
    const missingBytes = this.#missingBytes(layers)
    checkDiskSpace(home, missingBytes, `pull image ${this.#name}`)
    using progress = new LayersProgress(this.#name, manifest.layers, this.#options.onProgress)
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, ...(this.#options.signal ? [this.#options.signal] : [])])
    const parallel = settings.parallelDownloads
    const fetch = new LayerFetch({ source, layers, parallel, stop, signal, progress })
    const sources = manifest.layers.map(({ digest, mediaType, size }, index) => ({
      diffId: diffIds[index],
      mediaType,
      bytes: size,
      open: () => fetch.open(digest),
    }))
    const merging = buildRootfs(home, chainIdOf(diffIds), sources, {
      signal,
      reservedBytes: missingBytes,
      onLayer: (index, bytes) => {
        if (bytes === 0) return
        if (index > 0) progress.tell(index - 1, 'done', manifest.layers[index - 1]?.size ?? 0)
        progress.tell(index, 'merging', bytes)
      },
    })
    try {
      await allOrFirstFailure([fetch.run(), merging], stop)
    } catch (error) {
      await this.#store.removeDamagedLayer(manifest.layers, error)
      throw error
    }
    for (const [index, { size }] of manifest.layers.entries()) progress.tell(index, 'done', size)
  }

  #missingBytes(layers: readonly Descriptor[]): number {
    const { content } = this.#store
    return layers
      .filter(({ digest }) => !content.has(digest))
      .reduce((sum, { digest, size }) => sum + Math.max(0, size - content.partialBytes(digest)), 0)
  }

  async #add(reference: ImageReference, image: FetchedImage, descriptor: Descriptor): Promise<ManifestRow> {
    return await this.#store.add({
      manifest: image.bytes,
      mediaType: image.descriptor.mediaType,
      names: [formatReference(reference)],
      source: descriptor.digest,
    })
  }
}

/** Waits for all. The first failure stops the others, and is what the caller learns. */
async function allOrFirstFailure(tasks: readonly Promise<unknown>[], stop: AbortController): Promise<void> {
  const stopping = tasks.map(task => task.catch((error: unknown) => stop.abort(error)))
  await Promise.all(stopping)
  if (stop.signal.aborted) throw stop.signal.reason
}

function notHere(name: string, reason: string): CofferError {
  return new CofferError('not_found', `there is no image ${name} here, ${reason}`, {
    hint: 'Pull it (coffer pull), or allow it (pull: missing).',
    details: { image: name },
  })
}

/** What is wrong with an image is no fault of the caller's arguments. */
function pullError(name: string, signal: AbortSignal | undefined, error: unknown): unknown {
  if (!isCofferError(error)) return abortError(`pulling image ${name}`, signal, error)
  if (error.code !== 'invalid_argument' || error.details['layer'] === undefined) return error
  return new CofferError('image_pull_failed', `cannot prepare image ${name}: ${error.message}`, {
    hint: error.hint,
    cause: error,
    details: error.details,
  })
}
