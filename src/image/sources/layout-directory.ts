import type { Buffer } from 'node:buffer'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { CofferError, systemErrorCode } from '../../errors.ts'
import type { ContentStore } from '../content.ts'
import { digestAlgorithm, digestHex } from '../digest.ts'
import { type Descriptor, maxManifestBytes } from '../registry/manifest.ts'
import type { BlobSource } from './found-image.ts'
import { readAt } from './read-at.ts'

// More is refused by who reads it.
const maxIndexBytes = maxManifestBytes

/** An OCI layout in a directory of the host. Only names made of digests are looked up in it, and links are not followed. */
export class LayoutDirectory implements BlobSource {
  readonly #path: string
  readonly #content: ContentStore
  readonly #options: LayoutOptions

  constructor(path: string, content: ContentStore, options: LayoutOptions) {
    this.#path = path
    this.#content = content
    this.#options = options
  }

  /** `index.json`. Throws `not_found` for a directory that is no layout. */
  async index(): Promise<Buffer> {
    await using file = await openFile(join(this.#path, 'index.json'))
    if (file === undefined)
      throw new CofferError('not_found', 'the directory has no index.json', {
        hint: 'It is no OCI layout. To make an image of a root file system: coffer import-rootfs.',
      })
    const { size } = await file.stat()
    return await readAt(file, 0, Math.min(size, maxIndexBytes + 1))
  }

  async take({ digest, size }: Descriptor): Promise<boolean> {
    if (await this.#content.has(digest)) return true
    await using file = await openFile(join(this.#path, 'blobs', digestAlgorithm(digest), digestHex(digest)))
    if (file === undefined) return false
    const stream = file.createReadStream({ autoClose: false, highWaterMark: 256 * 1024 })
    await this.#content.write(stream, { digest, bytes: size, maxBytes: size }, this.#options)
    return true
  }
}

type LayoutOptions = {
  readonly signal?: AbortSignal | undefined
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/** A regular file, or undefined if there is none. A link could lead to any file, a pipe would never answer. */
async function openFile(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw notRegular(path)
    throw new CofferError('storage_error', `cannot open ${path}: ${code ?? error}`, { cause: error })
  }
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw notRegular(path)
}

function notRegular(path: string): CofferError {
  return new CofferError('invalid_argument', `${path} is no regular file`, {
    hint: 'Links are not followed in a layout; copy it with cp -rL first.',
  })
}
