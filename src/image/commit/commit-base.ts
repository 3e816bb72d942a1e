import { CofferError } from '../../errors.ts'
import type { ManifestRow } from '../../state/images.ts'
import { maxConfigBytes } from '../config.ts'
import type { ContentStore } from '../content.ts'
import { parseDigest } from '../digest.ts'
import { type Descriptor, maxManifestBytes, parseManifest } from '../registry/manifest.ts'
import { layerCompression } from '../registry/media-types.ts'
import { defaultPlatform } from '../registry/platform.ts'
import { layerMediaType } from '../save/write-layer.ts'

/** What an image is made on top of. */
export type CommitBase = {
  /** Lowest first, with OCI's media types. */
  readonly layers: readonly Descriptor[]
  readonly diffIds: readonly string[]
  /** The whole configuration, with what nobody here knows of it. */
  readonly config: Readonly<Record<string, unknown>>
}

/** The image that a box was started from. Throws `unsupported` for a disk, which has no layers. */
export function imageBase(content: ContentStore, row: ManifestRow): CommitBase {
  const bytes = content.read(parseDigest(row.digest), maxManifestBytes)
  const manifest = parseManifest(bytes, row.mediaType, `the manifest ${row.digest}`)
  if (manifest.kind !== 'manifest') throw new CofferError('internal', `${row.digest} is an index`)
  // Both were checked when the image was brought in.
  const config = JSON.parse(content.read(manifest.config.digest, maxConfigBytes).toString('utf8'))
  return {
    layers: manifest.layers.map(asOci),
    diffIds: config.rootfs.diff_ids ?? [],
    config,
  }
}

/** An image without a configuration. */
export const emptyConfig: CommitBase['config'] = { ...defaultPlatform, config: {}, history: [] }

/** A manifest of Docker's format with layers of OCI's, or the other way round, is one that some tools refuse. */
function asOci({ mediaType, digest, size }: Descriptor): Descriptor {
  const compression = layerCompression(mediaType)
  if (compression !== undefined) return { mediaType: layerMediaType(compression), digest, size }
  throw new CofferError('unsupported', 'the image of the box is a disk, on which no layer can be put', {
    hint: 'Make the image of a root file system instead (coffer import-rootfs), and start the box from that.',
    details: { mediaType },
  })
}
