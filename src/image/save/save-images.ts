import { randomUUID } from 'node:crypto'
import { createWriteStream, existsSync, realpathSync, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CofferError, isCofferError, systemErrorCode } from '../../errors.ts'
import { syncDirectory } from '../../state/atomic-file.ts'
import type { ImageStore } from '../store.ts'
import { dockerArchiveMembers } from './docker-archive.ts'
import { checkAborted, holdImages } from './hold-images.ts'
import { ociArchiveMembers } from './oci-archive.ts'
import { savedImages } from './saved-image.ts'
import { writeTar } from './tar-writer.ts'

export type SaveOptions = {
  /** Default `oci-archive`, which keeps digests. `docker-archive` is what `docker load` of before version 25 reads. */
  readonly format?: 'oci-archive' | 'docker-archive' | undefined
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece that was written. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

const step = 'saving images'

/**
 * Writes images into one archive, with the blobs as they are stored; those that images share are there once. The same images give the same
 * bytes. A file is written beside and renamed, so it is whole or not there.
 *
 * @param names as they are resolved by the store; an image may come under several names
 * @param output a path, or a stream, which is ended
 * @throws `not_found`, `storage_error`, `aborted`, `invalid_argument` without a name
 */
export async function saveImages(
  store: ImageStore,
  names: readonly string[],
  output: string | Writable,
  options: SaveOptions = {},
): Promise<void> {
  if (names.length === 0) throw new CofferError('invalid_argument', 'cannot save images: none is named')
  using _lock = await holdImages(store, step, options.signal)
  const images = await savedImages(store, names)
  const members =
    options.format === 'docker-archive'
      ? dockerArchiveMembers(images, store.content)
      : ociArchiveMembers(images, store.content)
  const archive = watched(writeTar(members), options)
  if (typeof output === 'string') await writeFile(output, archive)
  else await pipeline(archive, output)
}

async function* watched(
  archive: AsyncIterable<Uint8Array>,
  { signal, onBytes }: SaveOptions,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of archive) {
    checkAborted(step, signal)
    yield chunk
    onBytes?.(chunk.length)
  }
}

async function writeFile(path: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    const target = existsSync(path) ? realpathSync(path) : resolve(path)
    // A device or pipe takes what is written; a file in its place would be something else.
    if (existsSync(target) && !statSync(target).isFile()) await pipeline(archive, createWriteStream(target))
    else await replaceFile(target, archive)
  } catch (error) {
    if (isCofferError(error)) throw error
    throw new CofferError('storage_error', `cannot write ${path}: ${systemErrorCode(error) ?? error}`, {
      hint: 'Name a file in a directory that is there and can be written.',
      cause: error,
      details: { path },
    })
  }
}

async function replaceFile(path: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
  const staging = `${path}.${randomUUID()}.tmp`
  try {
    await pipeline(archive, createWriteStream(staging, { flags: 'wx', mode: 0o600 }))
    await using file = await open(staging, 'r')
    await file.sync()
    await rename(staging, path)
    syncDirectory(dirname(path))
  } catch (error) {
    await rm(staging, { force: true })
    throw error
  }
}
