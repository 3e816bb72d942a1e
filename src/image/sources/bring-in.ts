import { tryLock } from '../../state/lock.ts'
import { ContentStore, type Expected, type StoredBlob, type WriteOptions } from '../content.ts'
import type { Digest } from '../digest.ts'
import { holdImages } from '../save/hold-images.ts'
import { type ImageStore, imagesLockPath } from '../store.ts'

/**
 * Does what stores blobs and makes images of them. Of the blobs that no image needs in the end, also when it fails, none stays; while
 * somebody else brings an image in, which may need them too, they are left for `prune`.
 */
export async function bringIn<T>(
  store: ImageStore,
  signal: AbortSignal | undefined,
  work: (content: ContentStore) => Promise<T>,
): Promise<T> {
  const content = new RecordingContent(store.context.home)
  try {
    using _lock = await holdImages(store, 'it', signal)
    return await work(content)
  } finally {
    discardUnused(store, content.written)
  }
}

class RecordingContent extends ContentStore {
  readonly written = new Set<Digest>()

  override async write(
    source: AsyncIterable<Uint8Array>,
    expected: Expected,
    options?: WriteOptions,
  ): Promise<StoredBlob> {
    const stored = await super.write(source, expected, options)
    this.written.add(stored.digest)
    return stored
  }
}

function discardUnused(store: ImageStore, digests: ReadonlySet<Digest>): void {
  if (digests.size === 0) return
  using lock = tryLock(imagesLockPath(store.context))
  if (lock === undefined) return
  const used = store.context.store.images.usedBlobs()
  for (const digest of digests) if (!used.has(digest)) store.content.remove(digest)
}
