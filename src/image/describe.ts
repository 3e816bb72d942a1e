import { existsSync } from 'node:fs'
import { diskBytes } from '../state/disk-bytes.ts'
import type { ManifestRow } from '../state/images.ts'
import { builtInConfig } from './builtin.ts'
import { decodeImage, type HistoryEntry, type ImageConfig } from './config.ts'
import { parseDigest } from './digest.ts'
import { maxManifestBytes, parseManifest } from './registry/manifest.ts'
import { rootfsPath } from './rootfs-path.ts'
import type { ImageStore } from './store.ts'

/** An image of the home, as lists show it. */
export type ImageInfo = {
  /** The digest of its manifest: what names it wherever it is. Undefined for the built-in image. */
  readonly digest: string | undefined
  /** In the short form, `alpine:latest`; none for one that lost them. */
  readonly names: readonly string[]
  readonly configDigest: string | undefined
  /** As the image has it; undefined if it does not say, or nonsense. */
  readonly createdAt: Date | undefined
  /** When it came into the home, and when a box was last started from it. */
  readonly addedAt: Date | undefined
  readonly usedAt: Date | undefined
  /** Of its manifest, configuration and layers as stored; images may share layers. */
  readonly bytes: number
  /** What its merged layers take on the disk; 0 before they are merged. Images of the same layers share this. */
  readonly rootfsBytes: number
  /** Ids of the boxes that use it. */
  readonly boxes: readonly string[]
  readonly isBuiltIn: boolean
}

export type ImageLayer = {
  readonly digest: string
  /** Of the layer uncompressed. */
  readonly diffId: string
  readonly mediaType: string
  /** As stored. */
  readonly bytes: number
}

/** A step of how an image was made; `bytes` of its layer as stored, 0 for one that made none. Newest first. */
export type ImageStep = HistoryEntry & { readonly bytes: number; readonly layer: string | undefined }

export type ImageDetails = ImageInfo & {
  readonly os: string
  readonly architecture: string
  readonly variant: string | undefined
  readonly author: string | undefined
  readonly mediaType: string | undefined
  readonly annotations: Readonly<Record<string, string>>
  readonly config: ImageConfig
  /** Lowest first. */
  readonly layers: readonly ImageLayer[]
  readonly history: readonly ImageStep[]
}

/** What the home knows of an image without reading its blobs. */
export async function describeImage(
  store: ImageStore,
  row: ManifestRow,
  users?: Awaited<ReturnType<ImageStore['users']>>,
): Promise<ImageInfo> {
  const { images } = store.context.store
  const blobs = new Map(images.blobsOf(row.digest).map(({ digest, bytes }) => [digest, bytes]))
  const boxes = (users ?? (await store.users())).get(row.digest) ?? []
  return {
    digest: row.digest,
    names: store.namesOf(row),
    configDigest: row.configDigest,
    createdAt: dateOf(decodeImage(row.config).createdAt),
    addedAt: new Date(row.addedAtMs),
    usedAt: new Date(row.usedAtMs),
    bytes: [...blobs.values()].reduce((sum, bytes) => sum + bytes, 0),
    rootfsBytes: diskBytes(rootfsPath(store.context.home, row.chainId)),
    boxes: boxes.map(({ id }) => id),
    isBuiltIn: false,
  }
}

/** All there is to know about an image. Throws `storage_error` or `not_found` when its blobs are damaged or gone. */
export async function inspectImage(store: ImageStore, row: ManifestRow): Promise<ImageDetails> {
  const bytes = store.content.read(parseDigest(row.digest), maxManifestBytes)
  const manifest = parseManifest(bytes, row.mediaType, `the manifest ${row.digest}`)
  if (manifest.kind !== 'manifest') throw new TypeError('an index was stored as an image')
  const parsed = store.readConfig(manifest)
  const layers = manifest.layers.map(({ digest, mediaType, size }, index) => ({
    digest,
    diffId: parsed.diffIds[index] ?? '',
    mediaType,
    bytes: size,
  }))
  return {
    ...(await describeImage(store, row)),
    os: parsed.os || 'linux',
    architecture: parsed.architecture || 'amd64',
    variant: parsed.variant,
    author: parsed.author,
    mediaType: row.mediaType,
    annotations: manifest.annotations,
    config: parsed.config,
    layers,
    history: stepsOf(parsed.history, layers),
  }
}

/** The built-in image, once a box has used it. */
export function describeBuiltIn(path: string): ImageInfo | undefined {
  if (!existsSync(path)) return undefined
  return {
    digest: undefined,
    names: ['busybox:latest'],
    configDigest: undefined,
    createdAt: undefined,
    addedAt: undefined,
    usedAt: undefined,
    bytes: 0,
    rootfsBytes: diskBytes(path),
    boxes: [],
    isBuiltIn: true,
  }
}

/** The same with what it says about running commands. */
export function inspectBuiltIn(path: string): ImageDetails | undefined {
  const info = describeBuiltIn(path)
  return (
    info && {
      ...info,
      os: 'linux',
      architecture: 'amd64',
      variant: undefined,
      author: undefined,
      mediaType: undefined,
      annotations: {},
      config: builtInConfig,
      layers: [],
      history: [],
    }
  )
}

/** Layers belong, in order, to the steps that are not empty. */
function stepsOf(history: readonly HistoryEntry[], layers: readonly ImageLayer[]): ImageStep[] {
  const left = layers.values()
  return history
    .map(entry => {
      const layer = entry.isEmptyLayer ? undefined : left.next().value
      return { ...entry, layer: layer?.digest, bytes: layer?.bytes ?? 0 }
    })
    .reverse()
}

function dateOf(text: string | undefined): Date | undefined {
  const milliseconds = Date.parse(text ?? '')
  return Number.isNaN(milliseconds) ? undefined : new Date(milliseconds)
}
