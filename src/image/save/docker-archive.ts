import { Buffer } from 'node:buffer'
import { CofferError } from '../../errors.ts'
import type { ContentStore } from '../content.ts'
import { familiarReference, parseReference } from '../reference.ts'
import { layerCompression } from '../registry/media-types.ts'
import { blobMember, blobPath, fileMember } from './blob-member.ts'
import type { SavedImage } from './saved-image.ts'
import type { TarMember } from './tar-writer.ts'

/** What `docker load` reads: manifest.json, and the files it names. The manifests themselves are not kept, so digests are not either. */
export async function* dockerArchiveMembers(
  images: readonly SavedImage[],
  content: ContentStore,
): AsyncGenerator<TarMember> {
  for (const { manifest } of images)
    for (const { mediaType } of manifest.layers)
      if (layerCompression(mediaType) === undefined) throw noLayer(mediaType)
  const list = images.map(({ manifest, names }) => ({
    Config: blobPath(manifest.config.digest),
    RepoTags: names.map(name => familiarReference(parseReference(name))),
    Layers: manifest.layers.map(({ digest }) => blobPath(digest)),
  }))
  yield fileMember('manifest.json', Buffer.from(JSON.stringify(list)))
  const digests = images.flatMap(({ manifest }) => [manifest.config, ...manifest.layers])
  for (const digest of new Set(digests.map(blob => blob.digest))) yield blobMember(digest, content)
}

function noLayer(mediaType: string): CofferError {
  return new CofferError('unsupported', `a Docker archive cannot hold a layer of type ${mediaType}`, {
    hint: 'Save the image as an OCI archive, the default.',
  })
}
