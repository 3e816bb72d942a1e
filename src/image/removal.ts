import { rmSync } from 'node:fs'
import { CofferError } from '../errors.ts'
import { diskBytes } from '../state/disk-bytes.ts'
import { faultPoint } from '../state/fault-point.ts'
import type { BlobRow, ManifestRow } from '../state/images.ts'
import { tryLock } from '../state/lock.ts'
import { dropStrayTemplates } from '../vm/template-store.ts'
import { parseDigest } from './digest.ts'
import { candidatesOf, canonicalName, isImageId, shownName } from './find.ts'
import { rootfsPath } from './rootfs-path.ts'
import { type ImageStore, imagesLockPath } from './store.ts'

export type RemovedImage = {
  /** Names that mean nothing any more. */
  readonly untagged: readonly string[]
  /** The digest of the image, if it went with its last name; undefined while boxes or a pull keep it. */
  readonly removed: string | undefined
  /** What the disk got back. While a pull is under way, which may need the same layers: 0, and it goes later. */
  readonly freedBytes: number
}

/**
 * Takes a name away from an image, and removes the image with its last one. An id means all its names.
 *
 * With `force`, names go in spite of boxes, and what boxes need of the image goes with the last of them.
 *
 * @throws `not_found`; `invalid_state` while boxes use it, naming them, or for the id of an image with several names
 */
export async function removeImage(
  store: ImageStore,
  name: string,
  { force = false }: { readonly force?: boolean } = {},
): Promise<RemovedImage> {
  const { images } = store.context.store
  const row = await store.require(name)
  const shown = store.namesOf(row)
  // 1. One name of several: the image stays.
  const names = images.namesOf(row.digest).map(({ reference }) => reference)
  const meant = await nameMeant(store, name, names)
  if (meant !== undefined && names.length > 1) {
    images.deleteName(meant)
    return { untagged: [shownName(meant)], removed: undefined, freedBytes: 0 }
  }
  // 2. The image itself.
  if (meant === undefined && names.length > 1 && !force)
    throw new CofferError('invalid_state', `cannot remove image ${name}: it has ${names.length} names`, {
      hint: `Remove its names (${shown.join(', ')}), or all of them with force.`,
      details: { names: shown },
    })
  const users = await store.usersOf(row)
  if (users.length > 0 && !force) throw inUse(name, users)
  images.markRemoved(row.digest)
  const freedBytes = freeRemoved(store)
  const removed = images.find(row.digest) === undefined ? row.digest : undefined
  return { untagged: shown, removed, freedBytes }
}

/** Removes images that were removed by force and that no box uses any more. Returns the bytes that this freed. */
export function freeRemoved(store: ImageStore): number {
  const { images } = store.context.store
  if (images.removable().length === 0) return 0
  using lock = tryLock(imagesLockPath(store.context))
  return lock === undefined ? 0 : dropImages(store, () => images.removable())
}

/**
 * Removes images with what only they need. The caller holds the images' lock alone; no box takes hold of an image between `choose` and its
 * removal. The records go first: files without a record are swept, a record without its files would be an image that does not start.
 */
export function dropImages(store: ImageStore, choose: () => readonly ManifestRow[]): number {
  const { images } = store.context.store
  const { blobs, chainIds } = images.exclusively(() => {
    const rows = choose()
    const dropped = {
      blobs: rows.flatMap(({ digest }) => images.blobsOf(digest)),
      chainIds: rows.map(({ chainId }) => chainId),
    }
    for (const { digest } of rows) images.delete(digest)
    return dropped
  })
  faultPoint('image: records gone')
  return freeFiles(store, blobs, chainIds)
}

/** Removes those of the files that no image needs. */
function freeFiles(store: ImageStore, blobs: readonly BlobRow[], chainIds: readonly string[]): number {
  const { images } = store.context.store
  const usedBlobs = images.usedBlobs()
  const usedChains = images.usedChains()
  let freedBytes = 0
  for (const { digest, bytes } of uniqueBlobs(blobs)) {
    if (usedBlobs.has(digest)) continue
    store.content.remove(parseDigest(digest))
    freedBytes += bytes
  }
  for (const chainId of new Set(chainIds)) {
    if (usedChains.has(chainId)) continue
    const path = rootfsPath(store.context.home, chainId)
    freedBytes += diskBytes(path)
    rmSync(path, { force: true })
  }
  return freedBytes + dropStrayTemplates(store.context.home)
}

/** Which of an image's names was given; undefined for its id. */
async function nameMeant(
  store: ImageStore,
  name: string,
  names: readonly string[],
): Promise<string | undefined> {
  if (isImageId(name)) return undefined
  const candidates = await candidatesOf(store.context, name)
  return candidates.map(canonicalName).find(candidate => names.includes(candidate))
}

function uniqueBlobs(blobs: readonly BlobRow[]): BlobRow[] {
  return [...new Map(blobs.map(blob => [blob.digest, blob])).values()]
}

function inUse(
  name: string,
  users: readonly { readonly id: string; readonly name: string | undefined }[],
): CofferError {
  const labels = users.map(user => user.name ?? user.id)
  const more = labels.length > 5 ? ` and ${labels.length - 5} more` : ''
  return new CofferError(
    'invalid_state',
    `cannot remove image ${name}: it is used by ${labels.length === 1 ? 'box' : 'boxes'} ${labels.slice(0, 5).join(', ')}${more}`,
    {
      hint: 'Remove the boxes first (coffer rm), or the image by force (coffer rmi -f), which leaves them what they need.',
      details: { boxes: users.map(({ id }) => id) },
    },
  )
}
