import { readdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { diskBytes } from '../state/disk-bytes.ts'
import type { ManifestRow } from '../state/images.ts'
import { acquireLock, tryLock } from '../state/lock.ts'
import { dropStrayTemplates } from '../vm/template-store.ts'
import { isBuiltInFile } from './builtin.ts'
import { digestHex } from './digest.ts'
import { blobLockPath } from './fetch-blob.ts'
import { dropImages } from './removal.ts'
import { listRootfs, rootfsPath } from './rootfs-path.ts'
import { type ImageStore, imagesLockPath } from './store.ts'

export type PrunedImages = {
  /** What was removed: names, or the digests of what had none. */
  readonly removed: readonly string[]
  readonly freedBytes: number
}

export type PruneOptions = {
  /** Also images with names, unless a box uses them. Default false: only those that lost theirs. */
  readonly all?: boolean
  /** The file of the built-in image that stays; others of it go. Default: all stay. */
  readonly builtInPath?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Removes what no box uses and no name keeps, interrupted downloads, and files that belong to no image. Waits for pulls under way, of any
 * process: they may be about to use what looks left over.
 */
export async function pruneImages(store: ImageStore, options: PruneOptions = {}): Promise<PrunedImages> {
  using _lock = await acquireLock(imagesLockPath(store.context), { signal: options.signal })
  const { images } = store.context.store
  const users = await store.users()
  const removed: string[] = []
  let freedBytes = 0
  for (const row of images.list()) {
    const names = store.namesOf(row)
    if (names.length > 0 && options.all !== true) continue
    if (users.has(row.digest)) continue
    freedBytes += drop(store, row)
    if (images.find(row.digest) === undefined) removed.push(...(names.length === 0 ? [row.digest] : names))
  }
  return { removed, freedBytes: freedBytes + sweep(store, options) }
}

/**
 * Removes the least recently used images until they take no more than the budget. What boxes use stays, and so does `keep`. While a pull is
 * under way nothing is removed: the last of them does it.
 */
export async function evict(store: ImageStore, keep: string): Promise<void> {
  const { images } = store.context.store
  const { maxBytes } = store.context.settings
  if (maxBytes === undefined || storedBytes(store) <= maxBytes) return
  using lock = tryLock(imagesLockPath(store.context))
  if (lock === undefined) return
  sweep(store, {})
  const users = await store.users()
  for (const row of images.list().reverse()) {
    if (storedBytes(store) <= maxBytes) return
    if (row.digest === keep || users.has(row.digest)) continue
    drop(store, row)
  }
}

/** What the images of a home take of its disk, without the built-in one. */
export function storedBytes(store: ImageStore): number {
  const files = [...store.content.list(), ...store.content.listPartial(), ...listRootfs(store.context.home)]
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Not if a box took hold of it meanwhile. */
function drop(store: ImageStore, row: ManifestRow): number {
  const { images } = store.context.store
  return dropImages(store, () => (images.boxesOf(row.digest).length > 0 ? [] : [row]))
}

/** Removes files that belong to no image; the caller holds the images' lock alone. */
function sweep(store: ImageStore, { builtInPath }: PruneOptions): number {
  const { home } = store.context
  const { images } = store.context.store
  const usedBlobs = images.usedBlobs()
  const usedFiles = new Set([...images.usedChains()].map(chainId => rootfsPath(home, chainId)))
  let freedBytes = sweepPartial(store)
  for (const { digest, bytes } of store.content.list()) {
    if (usedBlobs.has(digest)) continue
    store.content.remove(digest)
    freedBytes += bytes
  }
  const files = listRootfs(home).filter(({ path }) => !usedFiles.has(path))
  for (const { path, bytes } of [...files, ...oldBuiltIns(home.images, builtInPath)]) {
    rmSync(path, { force: true })
    freedBytes += bytes
  }
  return freedBytes + dropStrayTemplates(home)
}

function sweepPartial(store: ImageStore): number {
  let freedBytes = 0
  for (const { digest, bytes } of store.content.listPartial()) {
    using lock = tryLock(blobLockPath(store.context.home, digestHex(digest)))
    if (lock === undefined) continue
    store.content.removePartial(digest)
    freedBytes += bytes
  }
  return freedBytes
}

function oldBuiltIns(directory: string, keep: string | undefined): { path: string; bytes: number }[] {
  if (keep === undefined) return []
  return readdirSync(directory)
    .filter(name => isBuiltInFile(name) && name !== basename(keep))
    .map(name => join(directory, name))
    .map(path => ({ path, bytes: diskBytes(path) }))
}
