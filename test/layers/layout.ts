import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { LayerSource } from '../../src/image/layer/merge.ts'

export type LayoutLayer = { readonly tar: Buffer; readonly compression?: 'none' | 'gzip' | 'zstd' }

const annotation = 'org.opencontainers.image.ref.name'

/** Writes an OCI layout directory with one image, tag `image`, of the given layers; gives `directory`. */
export function writeLayout(directory: string, layers: readonly LayoutLayer[]): string {
  mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true })
  const put = (mediaType: string, bytes: Buffer): Descriptor => {
    const hex = sha256(bytes)
    writeFileSync(join(directory, 'blobs', 'sha256', hex), bytes)
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
  }
  const json = (type: string, value: unknown): Descriptor =>
    put(`application/vnd.oci.image.${type}.v1+json`, Buffer.from(JSON.stringify(value)))
  const descriptors = layers.map(({ tar, compression = 'none' }) => {
    const suffix = compression === 'none' ? '' : `+${compression}`
    const packed =
      compression === 'gzip' ? gzipSync(tar) : compression === 'zstd' ? zstdCompressSync(tar) : tar
    return put(`application/vnd.oci.image.layer.v1.tar${suffix}`, packed)
  })
  const config = json('config', {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => `sha256:${sha256(tar)}`) },
    history: [],
  })
  const manifest = json('manifest', { schemaVersion: 2, config, layers: descriptors })
  const manifests = [{ ...manifest, annotations: { [annotation]: 'image' } }]
  writeFileSync(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
  writeFileSync(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  return directory
}

/** The layers of an image in an OCI layout directory. */
export function layersOf(directory: string, tag = 'image'): LayerSource[] {
  const path = (digest: string): string => join(directory, 'blobs', digest.replace(':', '/'))
  const read = (digest: string): Manifest & Config => JSON.parse(readFileSync(path(digest), 'utf8'))
  const index: Index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'))
  const entry = index.manifests.find(({ annotations }) => annotations?.[annotation] === tag)
  if (entry === undefined) throw new Error(`no image ${tag} in ${directory}`)
  const manifest = read(entry.digest)
  const { rootfs } = read(manifest.config.digest)
  return manifest.layers.map(({ digest, mediaType, size }, layer) => ({
    diffId: rootfs.diff_ids[layer],
    mediaType,
    bytes: size,
    open: () => createReadStream(path(digest), { highWaterMark: 256 * 1024 }),
  }))
}

/** A layer that is in memory. */
export const layerOf = (tar: Buffer, more: Partial<LayerSource> = {}): LayerSource => ({
  diffId: undefined,
  mediaType: undefined,
  bytes: undefined,
  open: async function* () {
    yield tar
  },
  ...more,
})

type Descriptor = { readonly mediaType: string; readonly digest: string; readonly size: number }
type Index = {
  readonly manifests: readonly (Descriptor & { readonly annotations?: Readonly<Record<string, string>> })[]
}
type Manifest = { readonly config: Descriptor; readonly layers: readonly Descriptor[] }
type Config = { readonly rootfs: { readonly diff_ids: readonly string[] } }

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
