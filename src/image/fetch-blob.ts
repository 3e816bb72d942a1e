import { join } from 'node:path'
import { CofferError, isCofferError } from '../errors.ts'
import type { Home } from '../state/home.ts'
import { acquireLock, type Lock } from '../state/lock.ts'
import { type ContentStore, writeError } from './content.ts'
import { digestHex } from './digest.ts'
import type { ImageReference } from './reference.ts'
import type { RegistryClient } from './registry/client.ts'
import type { Descriptor } from './registry/manifest.ts'

export type FetchSource = {
  readonly home: Home
  readonly content: ContentStore
  readonly client: RegistryClient
  readonly reference: ImageReference
}

export type FetchOptions = {
  readonly signal?: AbortSignal | undefined
  /** Another process fetches it. Called again and again with what it has. */
  readonly onWait?: ((bytes: number) => void) | undefined
  /** Bytes of the blob that are there, hashed. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

const lookMs = 200

/** Fetches a blob unless it is there: once, whoever else wants it at the same time; what an interrupted download left is used. */
export async function fetchBlob(
  source: FetchSource,
  descriptor: Descriptor,
  options: FetchOptions = {},
): Promise<void> {
  const { content } = source
  checkSize(content, descriptor)
  if (content.has(descriptor.digest)) return
  using _lock = await lockBlob(source, descriptor, options)
  if (content.has(descriptor.digest)) return
  try {
    const resumedBytes = await download(source, descriptor, options)
    // What was left was not the beginning of this blob: a crash of the host may do that to a file.
    if (resumedBytes > 0 && !content.has(descriptor.digest)) await download(source, descriptor, options)
  } catch (error) {
    throw writeError(error)
  }
}

/** Returns the bytes that were there already. Leaves no blob if those were wrong. */
async function download(
  { content, client, reference }: FetchSource,
  descriptor: Descriptor,
  { signal, onBytes }: FetchOptions,
): Promise<number> {
  await using partial = await content.resume(descriptor)
  const { verifier, resumedBytes } = partial
  onBytes?.(resumedBytes)
  try {
    for await (const chunk of client.fetchBlob(reference, descriptor, { signal, verifier })) {
      await partial.append(chunk)
      onBytes?.(verifier.bytes)
    }
    await partial.finish()
  } catch (error) {
    if (!isMismatch(error)) throw error
    partial.discard()
    if (resumedBytes === 0) throw error
  }
  return resumedBytes
}

/** A manifest may not give a blob that is here another size than it has. */
function checkSize(content: ContentStore, { digest, size }: Descriptor): void {
  const bytes = content.size(digest)
  if (bytes === undefined || bytes === size) return
  throw new CofferError(
    'image_pull_failed',
    `blob ${digest} is not what it should be: it has ${bytes} bytes, ${size} were announced`,
    { details: { digest, reason: 'size_mismatch' } },
  )
}

/** The lock of a blob. While another process has it, its progress is seen in the file it writes. */
async function lockBlob(
  { home, content }: FetchSource,
  { digest }: Descriptor,
  { signal, onWait }: FetchOptions,
): Promise<Lock> {
  let timer: NodeJS.Timeout | undefined
  const look = (): void => onWait?.(content.partialBytes(digest))
  try {
    return await acquireLock(blobLockPath(home, digestHex(digest)), {
      signal,
      onWait: () => {
        look()
        timer = setInterval(look, lookMs)
      },
    })
  } finally {
    clearInterval(timer)
  }
}

/** One of 256 lock files: a file for each blob would stay for ever, and one that is removed could be held twice. */
export function blobLockPath(home: Home, hex: string): string {
  return join(home.locks, `blob-${hex.slice(0, 2)}`)
}

function isMismatch(error: unknown): boolean {
  return isCofferError(error, 'image_pull_failed') && error.details['reason'] === 'digest_mismatch'
}
