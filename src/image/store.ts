import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CofferError, isCofferError } from '../errors.ts'
import { faultPoint } from '../state/fault-point.ts'
import type { BlobRow, ImageUser, ManifestRow, NameRow } from '../state/images.ts'
import { acquireSharedLock, type Lock } from '../state/lock.ts'
import { abortError } from './abort-error.ts'
import { encodeImage, maxConfigBytes, type ParsedConfig, parseImageConfig } from './config.ts'
import { ContentStore } from './content.ts'
import { type Digest, digestOf, parseDigest } from './digest.ts'
import { canonicalName, findImage, type ImageContext, requireImage, shownName } from './find.ts'
import { type Image, type ImageOptions, imageOf } from './images.ts'
import type { LayerSource } from './layer/merge.ts'
import { LayersProgress } from './progress.ts'
import { type PullOptions, pullImage } from './pull.ts'
import { parseReference } from './reference.ts'
import { type ImageManifest, parseManifest } from './registry/manifest.ts'
import { layerCompression } from './registry/media-types.ts'
import { freeRemoved, type RemovedImage, removeImage } from './removal.ts'
import { buildRootfs } from './rootfs.ts'
import { chainIdOf } from './rootfs-path.ts'
import { isDiskType } from './sources/disk-media-types.ts'
import { newName } from './sources/new-name.ts'

/** What `add` takes in. */
export type NewImage = {
  /** Exactly the bytes its digest is of. */
  readonly manifest: Uint8Array
  readonly mediaType: string
  /** References that mean it from now on; none for one that only its digest names. */
  readonly names: readonly string[]
  /** What the names mean in their registry, if that is an index. */
  readonly source?: Digest | undefined
}

/** The images of a home. */
export class ImageStore {
  readonly content: ContentStore
  readonly context: ImageContext

  constructor(context: ImageContext) {
    this.context = context
    this.content = new ContentStore(context.home)
  }

  /** While this is held, nothing is removed that no image uses yet: for whoever stores blobs that `add` is to find. */
  hold(signal?: AbortSignal): Promise<Lock> {
    return acquireSharedLock(imagesLockPath(this.context), signal)
  }

  /**
   * Makes an image of blobs that are in the content store, all that the manifest names. Everything that brings an image in ends here. An image
   * that is here already gets the names.
   *
   * @throws `invalid_argument` for a name, `image_pull_failed` for a manifest or configuration that is malformed, `unsupported` for what boxes cannot
   *   run, `not_found` for a blob that is not there
   */
  async add({ manifest: bytes, mediaType, names, source }: NewImage): Promise<ManifestRow> {
    const references = names.map(name => canonicalName(parseReference(name)))
    const manifest = readManifest(bytes, mediaType)
    const parsed = this.readConfig(manifest)
    const { digest } = await this.content.writeBytes(bytes)
    const blobs = [
      {
        kind: 'manifest' as const,
        digest,
        bytes: bytes.length,
        mediaType: manifest.mediaType,
        diffId: undefined,
      },
      ...blobsOf(manifest, parsed),
    ]
    for (const blob of blobs) this.#checkBlob(blob)
    const nowMs = Date.now()
    const row: ManifestRow = {
      digest,
      mediaType: manifest.mediaType,
      configDigest: manifest.config.digest,
      chainId: chainIdOf(parsed.diffIds),
      config: encodeImage(parsed),
      addedAtMs: nowMs,
      usedAtMs: nowMs,
      isRemoved: false,
    }
    const rows = references.map(
      (reference): NameRow => ({
        reference,
        manifestDigest: digest,
        sourceDigest: source ?? digest,
        taggedAtMs: nowMs,
      }),
    )
    faultPoint('image: before its record')
    this.context.store.images.insert(row, blobs, rows)
    faultPoint('image: recorded')
    return this.context.store.images.find(digest) ?? row
  }

  /** The configuration of an image whose blobs are here, checked against its manifest and against what boxes can run. */
  readConfig(manifest: ImageManifest): ParsedConfig {
    const parsed = parseImageConfig(this.content.read(manifest.config.digest, maxConfigBytes))
    checkRunnable(manifest, parsed)
    return parsed
  }

  /** The image as boxes use it, its layers merged now if they are not yet: once, whoever else wants it at the same time. */
  async prepare(digest: string, { signal, onProgress }: ImageOptions = {}): Promise<Image> {
    const row = await requireImage(this.context, digest)
    const image = imageOf(this.context, row)
    if (existsSync(image.path)) return image
    try {
      await this.#merge(row, { signal, onProgress })
    } catch (error) {
      throw abortError(`preparing image ${this.nameOf(row)}`, signal, error)
    }
    return image
  }

  async #merge(row: ManifestRow, { signal, onProgress }: ImageOptions): Promise<void> {
    using _lock = await this.hold(signal)
    const layers = this.context.store.images.blobsOf(row.digest).filter(({ kind }) => kind === 'layer')
    using progress = new LayersProgress(
      this.nameOf(row),
      layers.map(layer => ({ digest: layer.digest, size: layer.bytes })),
      onProgress,
    )
    const sources = layers.map(layer => this.#layerSource(layer))
    try {
      await buildRootfs(this.context.home, row.chainId, sources, {
        signal,
        onWait: () => progress.tell(0, 'waiting', 0),
        onLayer: (index, bytes) => progress.tell(index, 'merging', bytes),
      })
    } catch (error) {
      await this.removeDamagedLayer(layers, error)
      throw error
    }
    for (const [index, { bytes }] of layers.entries()) progress.tell(index, 'done', bytes)
  }

  /** When a layer could not be merged because the disk changed its bytes: removes it, so that the next pull fetches it anew. */
  async removeDamagedLayer(layers: readonly { readonly digest: string }[], error: unknown): Promise<void> {
    const index = isCofferError(error, 'invalid_argument') ? error.details['layer'] : undefined
    const layer = typeof index === 'number' ? layers[index] : undefined
    if (layer !== undefined) await this.content.removeDamaged(parseDigest(layer.digest))
  }

  /** See `pullImage`. */
  pull(name: string, options: PullOptions = {}): Promise<ManifestRow> {
    return pullImage(this, name, options)
  }

  /** The image of the home that a name or id means, if there is one. */
  find(name: string): Promise<ManifestRow | undefined> {
    return findImage(this.context, name)
  }

  /** `find`. Throws `not_found`. */
  require(name: string): Promise<ManifestRow> {
    return requireImage(this.context, name)
  }

  /** Another name for an image; it means no other from now on. Returns it in full. */
  async tag(source: string, name: string): Promise<string> {
    const row = await this.require(source)
    const reference = newName(name)
    this.context.store.images.setName({
      reference,
      manifestDigest: row.digest,
      sourceDigest: row.digest,
      taggedAtMs: Date.now(),
    })
    return reference
  }

  /** See `removeImage`. */
  remove(name: string, options: { readonly force?: boolean } = {}): Promise<RemovedImage> {
    return removeImage(this, name, options)
  }

  /** Frees what was removed by force and is used by no box any more. Costs one question when there is nothing. */
  freeRemoved(): void {
    freeRemoved(this)
  }

  /** The boxes that keep images from being removed, by the image's digest: started from it, or about to be. */
  async users(): Promise<ReadonlyMap<string, readonly ImageUser[]>> {
    const { images } = this.context.store
    const users = new Map<string, ImageUser[]>()
    const add = (digest: string, user: ImageUser): void => {
      users.set(digest, [...(users.get(digest) ?? []), user])
    }
    for (const { digest, ...user } of images.startedBoxes()) add(digest, user)
    for (const [image, boxes] of Map.groupBy(images.boxesToStart(), box => box.image)) {
      // A box of another version may name what this one cannot read: that is no use of an image.
      const found = await findImage(this.context, image).catch(() => undefined)
      if (found !== undefined) for (const { id, name } of boxes) add(found.digest, { id, name })
    }
    return users
  }

  async usersOf(row: ManifestRow): Promise<readonly ImageUser[]> {
    return (await this.users()).get(row.digest) ?? []
  }

  /** How messages call an image. */
  nameOf(row: ManifestRow): string {
    return this.namesOf(row)[0] ?? row.digest
  }

  /** Its names as they are shown and typed. */
  namesOf(row: ManifestRow): string[] {
    return this.context.store.images.namesOf(row.digest).map(({ reference }) => shownName(reference))
  }

  #layerSource({ digest, bytes, mediaType, diffId }: BlobRow): LayerSource {
    return { diffId, mediaType, bytes, open: () => this.content.open(parseDigest(digest)) }
  }

  #checkBlob({ digest, bytes }: { digest: Digest; bytes: number }): void {
    const found = this.content.size(digest)
    if (found === undefined)
      throw new CofferError('not_found', `blob ${digest} of the image is not in the home`, {
        details: { digest },
      })
    if (found !== bytes)
      throw new CofferError(
        'image_pull_failed',
        `blob ${digest} of the image has ${found} bytes, its manifest says ${bytes}`,
        { details: { digest, reason: 'size_mismatch' } },
      )
  }
}

/** Shared by who brings images in, held alone by who removes blobs. */
export function imagesLockPath({ home }: ImageContext): string {
  return join(home.locks, 'images')
}

/** Throws unless the layers are layers, as many as the configuration says, of an image for this kind of machine. */
export function checkRunnable(manifest: ImageManifest, { os, architecture, diffIds }: ParsedConfig): void {
  for (const { mediaType } of manifest.layers)
    if (layerCompression(mediaType) === undefined && !(isDiskType(mediaType) && manifest.layers.length === 1))
      throw new CofferError('unsupported', `the image has a layer of media type ${mediaType}`, {
        hint: 'Layers are tar archives: plain, gzip or zstd.',
        details: { mediaType },
      })
  if (diffIds.length !== manifest.layers.length)
    throw new CofferError(
      'image_pull_failed',
      `the image has ${manifest.layers.length} layers, and its configuration describes ${diffIds.length}`,
    )
  // Old tools leave out what was the only platform there was.
  if ((os || 'linux') !== 'linux' || (architecture || 'amd64') !== 'amd64')
    throw new CofferError('unsupported', `the image is for ${os}/${architecture}, boxes run linux/amd64`, {
      hint: 'Use an image that was built for linux/amd64.',
      details: { os, architecture },
    })
}

function readManifest(bytes: Uint8Array, mediaType: string): ImageManifest {
  const manifest = parseManifest(bytes, mediaType, `the manifest ${digestOf(bytes)}`)
  if (manifest.kind === 'manifest') return manifest
  throw new CofferError('unsupported', 'an index is no image: one of its manifests is')
}

function blobsOf(
  { config, layers }: ImageManifest,
  { diffIds }: ParsedConfig,
): (BlobRow & { digest: Digest })[] {
  return [
    {
      kind: 'config',
      digest: config.digest,
      bytes: config.size,
      mediaType: config.mediaType,
      diffId: undefined,
    },
    ...layers.map(({ digest, size, mediaType }, index) => ({
      kind: 'layer' as const,
      digest,
      bytes: size,
      mediaType,
      diffId: diffIds[index],
    })),
  ]
}
