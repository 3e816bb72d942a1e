import type { Writable } from 'node:stream'
import { CofferError } from '../errors.ts'
import { builtInPath, ensureBuiltIn, isBuiltIn } from '../image/builtin.ts'
import type { ImageDetails, ImageInfo, ImageStep } from '../image/describe.ts'
import type { ImageContext, ImageSettings } from '../image/find.ts'
import { type PullPolicy, pullPolicies } from '../image/images.ts'
import { checkPlatform } from '../image/platform-check.ts'
import type { PrunedImages } from '../image/prune.ts'
import type { RegistryOptions } from '../image/registry/settings.ts'
import type { RemovedImage } from '../image/removal.ts'
import type { ImageStore } from '../image/store.ts'
import type { DiskUsage } from '../image/usage.ts'
import { isActive } from '../state/box-status.ts'
import { findBuilt } from '../vm/components.ts'
import type {
  ImportDiskOptions,
  ImportOptions,
  LoadOptions,
  PushedImage,
  PushOptions,
  SaveOptions,
} from './image-transfers.ts'
import type { StepListener } from './options.ts'
import { checkInteger, checkKeys, checkObject, checkText, invalid, show } from './validate.ts'

/** How a runtime deals with images. */
export type ImagesOptions = {
  /** Search registries, mirrors, transports and authorities, in place of what `registries.json` of the home says about the same thing. */
  readonly registries?: RegistryOptions
  /**
   * What images may take of the disk. After a pull the least recently used ones go until the rest fits; those that boxes use stay. Default: no
   * bound.
   */
  readonly maxBytes?: number
  /** Layers of an image fetched at a time, 1 to 16. Default 3. */
  readonly parallelDownloads?: number
}

export type ImagePullOptions = {
  /** Default `always`: the registry, or the daemon, is asked what the name means now, and what is not here is fetched. */
  readonly policy?: PullPolicy
  readonly platform?: string
  readonly signal?: AbortSignal
  readonly onProgress?: StepListener
}

/** The images of a home: `runtime.images`. Changes throw `stopped` after the runtime's shutdown. */
export class Images {
  readonly #context: { readonly images: ImageContext; checkOpen(): void }
  #opened: Promise<ImageStore> | undefined

  /** Made by the runtime. */
  constructor(context: { readonly images: ImageContext; checkOpen(): void }) {
    this.#context = context
  }

  /**
   * Brings an image in from its registry, or up to date; as `docker-daemon:NAME`, from Docker or Podman of this machine. Several pulls of one image, also of several processes, are one; one that was interrupted is
   * gone on with. Throws `not_found`, `unauthenticated`, `permission_denied`, `network_unavailable`, `upstream_unavailable`, `timeout`,
   * `image_pull_failed`, `unsupported`, `resource_exhausted`, `storage_error`, `aborted`.
   */
  async pull(name: string, options: ImagePullOptions = {}): Promise<ImageInfo> {
    this.#context.checkOpen()
    checkKeys('options', checkObject('options', options), ['policy', 'platform', 'signal', 'onProgress'])
    const { policy = 'always', platform, ...others } = options
    if (!pullPolicies.includes(policy)) throw invalid('policy', `${show(policy)} is no pull policy`)
    if (platform !== undefined) checkPlatform(checkText('platform', platform))
    if (isBuiltIn(name)) return this.#prepareBuiltIn(options)
    const store = await this.#store()
    const row = await store.pull(checkText('name', name), { ...others, policy, platform })
    await store.prepare(row.digest, others)
    const { describeImage } = await import('../image/describe.ts')
    return describeImage(store, row)
  }

  /** Last used first; the built-in one comes last, once a box has used it. */
  async list(): Promise<ImageInfo[]> {
    const store = await this.#store()
    const { describeBuiltIn, describeImage } = await import('../image/describe.ts')
    const { images } = store.context.store
    const users = await store.users()
    const known = await Promise.all(images.list().map(row => describeImage(store, row, users)))
    const builtIn = describeBuiltIn(builtInPath(store.context.home, busybox()))
    return builtIn === undefined ? known : [...known, builtIn]
  }

  /** By name, by id, or by the beginning of an id. Throws `not_found`. */
  async get(name: string): Promise<ImageInfo> {
    if (isBuiltIn(name)) return this.#prepareBuiltIn({})
    const store = await this.#store()
    const { describeImage } = await import('../image/describe.ts')
    return describeImage(store, await store.require(checkText('name', name)))
  }

  /** With configuration, layers and history. Throws `not_found`. */
  async inspect(name: string): Promise<ImageDetails> {
    const store = await this.#store()
    const { inspectBuiltIn, inspectImage } = await import('../image/describe.ts')
    if (isBuiltIn(name)) {
      const details = inspectBuiltIn(await ensureBuiltIn(store.context.home, busybox()))
      if (details !== undefined) return details
    }
    return inspectImage(store, await store.require(checkText('name', name)))
  }

  /** The steps an image was made in, the newest first. Throws `not_found`. */
  async history(name: string): Promise<readonly ImageStep[]> {
    return (await this.inspect(name)).history
  }

  /**
   * Takes a name away, and with the last one the image. Throws `not_found`, `invalid_state` while boxes use it; with `force` they keep what they
   * need of it until they are gone.
   */
  async remove(name: string, options: { readonly force?: boolean } = {}): Promise<RemovedImage> {
    this.#context.checkOpen()
    checkKeys('options', checkObject('options', options), ['force'])
    if (isBuiltIn(name))
      throw new CofferError('invalid_argument', `${name} is built in: it cannot be removed`, {
        hint: 'The one of Docker Hub is docker.io/library/busybox.',
      })
    return (await this.#store()).remove(checkText('name', name), options)
  }

  /** Gives an image another name; what had it before loses it. Throws `not_found`, `invalid_argument`. */
  async tag(name: string, newName: string): Promise<void> {
    this.#context.checkOpen()
    if (isBuiltIn(name) || isBuiltIn(newName))
      throw new CofferError('invalid_argument', 'busybox always names the built-in image', {
        hint: 'The one of Docker Hub is docker.io/library/busybox.',
      })
    await (await this.#store()).tag(checkText('name', name), checkText('newName', newName))
  }

  /**
   * Removes images without a name, interrupted downloads and what belongs to no image; with `all` every image that no box uses. Waits for pulls
   * under way.
   */
  async prune(
    options: { readonly all?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<PrunedImages> {
    this.#context.checkOpen()
    checkKeys('options', checkObject('options', options), ['all', 'signal'])
    const store = await this.#store()
    const { pruneImages } = await import('../image/prune.ts')
    const boxes = store.context.store.listBoxes().some(({ status }) => isActive(status))
    // A box that runs may be restarted from the file it was started from.
    const builtIn = boxes ? undefined : builtInPath(store.context.home, busybox())
    return pruneImages(store, { ...options, builtInPath: builtIn })
  }

  /** What the whole home takes of its disk, and how much of it could be given back. */
  async diskUsage(): Promise<DiskUsage> {
    const store = await this.#store()
    const { diskUsage } = await import('../image/usage.ts')
    const active = store.context.store.listBoxes().filter(({ status }) => isActive(status))
    return diskUsage(store, new Set(active.map(({ id }) => id)))
  }

  /**
   * Brings in all images of a Docker archive, an OCI archive or an OCI layout directory, by its path or its bytes. See `loadImages` for what it
   * throws.
   */
  async load(source: string | AsyncIterable<Uint8Array>, options: LoadOptions = {}): Promise<ImageInfo[]> {
    this.#context.checkOpen()
    const { loadAndDescribe } = await import('./image-transfers.ts')
    return loadAndDescribe(await this.#store(), source, options)
  }

  /** Writes images into an archive, which `load` and other tools read. See `saveImages`. */
  async save(names: readonly string[], output: string | Writable, options: SaveOptions = {}): Promise<void> {
    const { saveNamed } = await import('./image-transfers.ts')
    await saveNamed(await this.#store(), names, output, options)
  }

  /** Makes an image of a root file system: a directory, or a tar. See `importRootfs` of the image's sources. */
  async importRootfs(
    source: string | AsyncIterable<Uint8Array>,
    name?: string,
    options: ImportOptions = {},
  ): Promise<ImageInfo> {
    this.#context.checkOpen()
    const { importAndDescribe } = await import('./image-transfers.ts')
    return importAndDescribe(await this.#store(), 'rootfs', source, name, options)
  }

  /** Makes an image of a disk with an EROFS or ext4 file system, raw or qcow2. See `importDisk`. */
  async importDisk(path: string, name?: string, options: ImportDiskOptions = {}): Promise<ImageInfo> {
    this.#context.checkOpen()
    const { importAndDescribe } = await import('./image-transfers.ts')
    return importAndDescribe(await this.#store(), 'disk', path, name, options)
  }

  /** Puts an image into a registry, under `target` if that is given. See `pushImage`. */
  async push(name: string, target: string = name, options: PushOptions = {}): Promise<PushedImage> {
    this.#context.checkOpen()
    const { pushNamed } = await import('./image-transfers.ts')
    return pushNamed(await this.#store(), name, target, options)
  }

  /** Has the registry check the credentials, and keeps them in the home. Throws `unauthenticated` when it does not accept them. */
  async login(
    registry: string,
    credentials: { readonly username: string; readonly password: string },
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    this.#context.checkOpen()
    const { home } = this.#context.images
    const { login } = await import('../image/registry/login.ts')
    const { loadSettings } = await import('../image/find.ts')
    const settings = await loadSettings(this.#context.images)
    const basic = {
      kind: 'basic' as const,
      username: checkText('username', credentials.username),
      password: checkText('password', credentials.password, 64 * 1024),
    }
    await login(home.path, checkText('registry', registry), basic, { settings, signal: options.signal })
  }

  /** Forgets what `login` kept. Whether there was anything. */
  async logout(registry: string): Promise<boolean> {
    this.#context.checkOpen()
    const { logout } = await import('../image/registry/login.ts')
    return logout(this.#context.images.home.path, checkText('registry', registry))
  }

  // What a prepared image needs is little: the rest is loaded by whoever asks for more.
  #store(): Promise<ImageStore> {
    this.#opened ??= import('../image/store.ts').then(({ ImageStore }) => {
      const store = new ImageStore(this.#context.images)
      store.freeRemoved()
      return store
    })
    return this.#opened
  }

  async #prepareBuiltIn({ signal, onProgress }: ImagePullOptions): Promise<ImageInfo> {
    const path = await ensureBuiltIn(this.#context.images.home, busybox(), { signal, onProgress })
    const { describeBuiltIn } = await import('../image/describe.ts')
    const info = describeBuiltIn(path)
    if (info === undefined) throw new CofferError('storage_error', 'the built-in image was removed meanwhile')
    return info
  }
}

/** Frees what only the box that is gone kept of an image that was removed by force. */
export async function freeRemovedImages(context: ImageContext): Promise<void> {
  if (context.store.images.removable().length === 0) return
  const { ImageStore } = await import('../image/store.ts')
  new ImageStore(context).freeRemoved()
}

/** Throws `invalid_argument` naming the option. */
export function parseImagesOptions(options: ImagesOptions): ImageSettings {
  checkKeys('images', checkObject('images', options), ['registries', 'maxBytes', 'parallelDownloads'])
  const { registries, maxBytes, parallelDownloads = 3 } = options
  if (registries !== undefined) checkObject('images.registries', registries)
  return {
    registries,
    maxBytes:
      maxBytes === undefined
        ? undefined
        : checkInteger('images.maxBytes', maxBytes, 0, Number.MAX_SAFE_INTEGER),
    parallelDownloads: checkInteger('images.parallelDownloads', parallelDownloads, 1, 16),
  }
}

function busybox(): string {
  return findBuilt('busybox', 'the busybox of the built-in image')
}
