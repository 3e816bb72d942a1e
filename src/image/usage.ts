import { join } from 'node:path'
import { diskBytes, namesIn, treeBytes } from '../state/disk-bytes.ts'
import type { Home } from '../state/home.ts'
import { isBuiltInFile } from './builtin.ts'
import { listRootfs, rootfsPath } from './rootfs-path.ts'
import type { ImageStore } from './store.ts'

/** What one kind of thing takes of the disk, and what removing the unused of it would give back, in bytes. */
export type UsageShare = { readonly count: number; readonly bytes: number; readonly reclaimableBytes: number }

export type DiskUsage = {
  /** Manifests, configurations and layers, as they came. */
  readonly blobs: UsageShare
  /** Merged layers, which boxes run from, and the built-in image. */
  readonly rootfs: UsageShare
  /** Downloads under way or interrupted. */
  readonly partial: UsageShare
  /** Directories of boxes: disks and logs. Those of boxes that do not run are reclaimable. */
  readonly boxes: UsageShare
  /** Saved machines, and empty disks: made again when they are needed. */
  readonly templates: UsageShare
  readonly totalBytes: number
}

type Entry = { readonly bytes: number; readonly isUsed: boolean }

/** What a home takes of its disk. An image is in use while a box is or will be started from it. */
export async function diskUsage(store: ImageStore, activeBoxes: ReadonlySet<string>): Promise<DiskUsage> {
  const { home, store: records } = store.context
  const used = new Set<string>()
  const usedFiles = new Set<string>()
  const users = await store.users()
  for (const row of records.images.list()) {
    if (!users.has(row.digest)) continue
    for (const { digest } of records.images.blobsOf(row.digest)) used.add(digest)
    usedFiles.add(rootfsPath(home, row.chainId))
  }
  const blobs = store.content.list().map(({ digest, bytes }) => ({ bytes, isUsed: used.has(digest) }))
  const rootfs = listRootfs(home).map(({ path, bytes }) => ({ bytes, isUsed: usedFiles.has(path) }))
  const builtIns = namesIn(home.images)
    .filter(isBuiltInFile)
    .map(name => ({ bytes: diskBytes(join(home.images, name)), isUsed: true }))
  const partial = store.content.listPartial().map(({ bytes }) => ({ bytes, isUsed: false }))
  const boxes = namesIn(home.boxes).map(id => ({
    bytes: treeBytes(join(home.boxes, id)),
    isUsed: activeBoxes.has(id),
  }))
  const shares = {
    blobs: shareOf(blobs),
    rootfs: shareOf([...rootfs, ...builtIns]),
    partial: shareOf(partial),
    boxes: shareOf(boxes),
    templates: shareOf(templatesOf(home)),
  }
  return { ...shares, totalBytes: Object.values(shares).reduce((sum, { bytes }) => sum + bytes, 0) }
}

function templatesOf(home: Home): Entry[] {
  return [home.templates, home.disks].flatMap(directory =>
    namesIn(directory).map(name => ({ bytes: treeBytes(join(directory, name)), isUsed: true })),
  )
}

function shareOf(entries: readonly Entry[]): UsageShare {
  const sum = (some: readonly Entry[]): number => some.reduce((total, { bytes }) => total + bytes, 0)
  return {
    count: entries.length,
    bytes: sum(entries),
    reclaimableBytes: sum(entries.filter(({ isUsed }) => !isUsed)),
  }
}
