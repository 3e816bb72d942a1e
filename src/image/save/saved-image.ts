import { CofferError } from '../../errors.ts'
import type { ManifestRow } from '../../state/images.ts'
import { parseDigest } from '../digest.ts'
import { canonicalName, isImageId } from '../find.ts'
import { parseReference } from '../reference.ts'
import { type Descriptor, type ImageManifest, maxManifestBytes, parseManifest } from '../registry/manifest.ts'
import type { ImageStore } from '../store.ts'

/** An image of the store with what leaves it. */
export type SavedImage = {
  readonly descriptor: Descriptor
  /** The manifest, exactly as its digest is of it. */
  readonly bytes: Buffer
  readonly manifest: ImageManifest
  /** Canonical. Those it was asked for by: none for one that was named by its id. */
  readonly names: readonly string[]
}

/** Each image once, in the order of its first name. Throws `not_found`. */
export async function savedImages(store: ImageStore, names: readonly string[]): Promise<SavedImage[]> {
  const images = new Map<string, SavedImage>()
  for (const name of names) {
    const row = await store.require(name)
    const image = images.get(row.digest) ?? readImage(store, row)
    const added = tagOf(name)
    const all = added === undefined ? image.names : [...new Set([...image.names, added])]
    images.set(row.digest, { ...image, names: all })
  }
  return [...images.values()]
}

export function readImage({ content }: ImageStore, row: ManifestRow): SavedImage {
  const digest = parseDigest(row.digest)
  const bytes = content.read(digest, maxManifestBytes)
  const manifest = parseManifest(bytes, row.mediaType, `the manifest ${digest}`)
  if (manifest.kind !== 'manifest') throw new CofferError('internal', `${digest} in the store is an index`)
  return {
    descriptor: { mediaType: manifest.mediaType, digest, size: bytes.length },
    bytes,
    manifest,
    names: [],
  }
}

/** A digest or an id is no name to be given to an image elsewhere. */
function tagOf(name: string): string | undefined {
  if (isImageId(name) || /^(?:sha256:)?[0-9a-f]{12,64}$/.test(name)) return undefined
  const reference = parseReference(name)
  return reference.digest === undefined ? canonicalName(reference) : undefined
}
