import { CofferError } from '../../errors.ts'
import type { ContentStore } from '../content.ts'
import { type Descriptor, type ImageIndex, maxManifestBytes, parseManifest } from '../registry/manifest.ts'
import { isIndexType, mediaTypes } from '../registry/media-types.ts'
import { defaultPlatform, selectPlatform } from '../registry/platform.ts'
import type { BlobSource, FoundImage } from './found-image.ts'
import { invalidSource } from './source-error.ts'

/**
 * The images of an OCI layout: one for each name in its `index.json`, and one for each unnamed entry, for the platform of boxes. Source: OCI
 * image specification, image-layout.md and annotations.md.
 *
 * @throws `invalid_argument`, `unsupported`; `not_found` for a platform or blob that the layout does not have; as `parseManifest`
 */
export async function imagesOfIndex(
  bytes: Uint8Array,
  blobs: BlobSource,
  content: ContentStore,
): Promise<FoundImage[]> {
  const index = parseManifest(bytes, mediaTypes.ociIndex, 'index.json')
  if (index.kind !== 'index') throw invalidSource('index.json is no index')
  const images: FoundImage[] = []
  for (const { name, descriptors } of groupsOf(index)) {
    const candidates = await flatten(descriptors, blobs, content)
    if (candidates.length === 0) continue
    const what =
      name === undefined ? 'the image without a name' : `image ${JSON.stringify(name.slice(0, 200))}`
    const selected = selectPlatform({ ...index, manifests: candidates }, defaultPlatform, what)
    images.push({ ...(await takeImage(selected, blobs, content)), names: name === undefined ? [] : [name] })
  }
  return images
}

type Group = { readonly name: string | undefined; readonly descriptors: Descriptor[] }

/** Entries of one name are one image for several platforms; so are all entries without a name, if each says for which. */
function groupsOf({ manifests }: ImageIndex): Group[] {
  const groups: Group[] = []
  const byName = new Map<string, Group>()
  const unnamed: Descriptor[] = []
  for (const descriptor of manifests.filter(isImage)) {
    const name = nameOf(descriptor)
    if (name === undefined) {
      unnamed.push(descriptor)
      continue
    }
    const group = byName.get(name) ?? { name, descriptors: [] }
    if (!byName.has(name)) groups.push(group)
    byName.set(name, group)
    group.descriptors.push(descriptor)
  }
  if (unnamed.length > 0 && unnamed.every(({ platform }) => platform !== undefined))
    groups.push({ name: undefined, descriptors: unnamed })
  else groups.push(...unnamed.map(descriptor => ({ name: undefined, descriptors: [descriptor] })))
  return groups
}

// Buildx keeps attestations beside the images, under a platform that cannot be.
const isImage = ({ platform }: Descriptor): boolean => platform?.os !== 'unknown'

function nameOf({ annotations }: Descriptor): string | undefined {
  return annotations?.['io.containerd.image.name'] ?? annotations?.['org.opencontainers.image.ref.name']
}

/** Puts what is in an index in the place of the index. One inside another stays, and is refused by `selectPlatform`. */
async function flatten(
  descriptors: readonly Descriptor[],
  blobs: BlobSource,
  content: ContentStore,
): Promise<Descriptor[]> {
  const found: Descriptor[] = []
  for (const descriptor of descriptors) {
    if (!isIndexType(descriptor.mediaType)) {
      found.push(descriptor)
      continue
    }
    const bytes = await readManifest(descriptor, blobs, content)
    const index = parseManifest(bytes, descriptor.mediaType, `the index ${descriptor.digest}`)
    if (index.kind === 'index') found.push(...index.manifests.filter(isImage))
  }
  return found
}

async function takeImage(
  descriptor: Descriptor,
  blobs: BlobSource,
  content: ContentStore,
): Promise<Omit<FoundImage, 'names'>> {
  const bytes = await readManifest(descriptor, blobs, content)
  const manifest = parseManifest(bytes, descriptor.mediaType, `the manifest ${descriptor.digest}`)
  if (manifest.kind !== 'manifest') throw invalidSource(`${descriptor.digest} is an index in an index`)
  for (const blob of [manifest.config, ...manifest.layers]) if (!(await blobs.take(blob))) throw missing(blob)
  return { manifest: bytes, mediaType: manifest.mediaType }
}

async function readManifest(
  descriptor: Descriptor,
  blobs: BlobSource,
  content: ContentStore,
): Promise<FoundImage['manifest']> {
  if (descriptor.size > maxManifestBytes) throw invalidSource(`a manifest of ${descriptor.size} bytes`)
  if (!(await blobs.take(descriptor))) throw missing(descriptor)
  return content.read(descriptor.digest, maxManifestBytes)
}

function missing({ digest }: Descriptor): CofferError {
  return new CofferError('not_found', `it names ${digest} and does not have it`, {
    hint: 'It is incomplete, or has the image for another platform only: save it again.',
    details: { digest },
  })
}
