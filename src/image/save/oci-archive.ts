import { Buffer } from 'node:buffer'
import type { ContentStore } from '../content.ts'
import { type Digest, digestAlgorithm } from '../digest.ts'
import { parseReference } from '../reference.ts'
import { mediaTypes } from '../registry/media-types.ts'
import { defaultPlatform } from '../registry/platform.ts'
import { blobMember, directoryMember, fileMember } from './blob-member.ts'
import type { SavedImage } from './saved-image.ts'
import type { TarMember } from './tar-writer.ts'

/** An OCI layout as an archive: what leads to the blobs comes before them, for readers of a stream. Source: image-layout.md. */
export async function* ociArchiveMembers(
  images: readonly SavedImage[],
  content: ContentStore,
): AsyncGenerator<TarMember> {
  yield fileMember('oci-layout', Buffer.from(JSON.stringify({ imageLayoutVersion: '1.0.0' })))
  yield fileMember('index.json', Buffer.from(JSON.stringify(indexOf(images))))
  const digests = blobsOf(images)
  yield directoryMember('blobs/')
  for (const algorithm of new Set([...digests].map(digestAlgorithm)))
    yield directoryMember(`blobs/${algorithm}/`)
  for (const digest of digests) yield blobMember(digest, content)
}

/** Manifests and configurations of all images, then layers; each once. */
function blobsOf(images: readonly SavedImage[]): Set<Digest> {
  return new Set([
    ...images.flatMap(({ descriptor, manifest }) => [descriptor.digest, manifest.config.digest]),
    ...images.flatMap(({ manifest }) => manifest.layers.map(({ digest }) => digest)),
  ])
}

function indexOf(images: readonly SavedImage[]): object {
  const isOnly = images.flatMap(({ names }) => names).length === 1
  const manifests = images.flatMap(({ descriptor, names }) => {
    const entry = { ...descriptor, platform: defaultPlatform }
    if (names.length === 0) return [entry]
    return names.map(name => ({ ...entry, annotations: annotationsOf(name, isOnly) }))
  })
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }
}

/** A tag alone is what most tools look for, but of several images it would not be unique. */
function annotationsOf(name: string, isOnly: boolean): Record<string, string> {
  const { tag } = parseReference(name)
  return {
    'io.containerd.image.name': name,
    'org.opencontainers.image.ref.name': isOnly && tag !== undefined ? tag : name,
  }
}
