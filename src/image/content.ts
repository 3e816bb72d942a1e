import type { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  createReadStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { CofferError, isCofferError, systemErrorCode } from '../errors.ts'
import { syncDirectory } from '../state/atomic-file.ts'
import { faultPoint } from '../state/fault-point.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { type Digest, DigestVerifier, digestAlgorithm, digestHex, digestOf, isDigest } from './digest.ts'
import { PartialBlob } from './partial-blob.ts'

/** What `write` is to check. */
export type Expected = {
  /** Default: whatever the SHA-256 is. */
  readonly digest?: Digest | undefined
  readonly bytes?: number | undefined
  /** More than this is refused, whatever was announced. */
  readonly maxBytes: number
}

export type WriteOptions = {
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

export type StoredBlob = { readonly digest: Digest; readonly bytes: number }

const algorithms = ['sha256', 'sha512'] as const
const partialSuffix = '.partial'
const readBytes = 128 * 1024

/** The content of images by its digest: `images/blobs/sha256/HEX` of a home. What has that name was checked against it. */
export class ContentStore {
  readonly #home: Home

  constructor(home: Home) {
    this.#home = home
  }

  has(digest: Digest): boolean {
    return this.size(digest) !== undefined
  }

  /** In bytes; undefined if it is not there. */
  size(digest: Digest): number | undefined {
    return statSync(this.path(digest), { throwIfNoEntry: false })?.size
  }

  path(digest: Digest): string {
    return join(this.#directory(digestAlgorithm(digest)), digestHex(digest))
  }

  /** The bytes of a blob. Throws `not_found` while being read if it is not there. */
  async *open(digest: Digest, options: { readonly offset?: number } = {}): AsyncGenerator<Buffer> {
    try {
      yield* createReadStream(this.path(digest), { start: options.offset ?? 0, highWaterMark: readBytes })
    } catch (error) {
      throw readError(digest, error)
    }
  }

  /** All of a small blob, checked once more. Throws `not_found`, `resource_exhausted` beyond `maxBytes`, `storage_error`. */
  read(digest: Digest, maxBytes: number): Buffer {
    const bytes = this.size(digest)
    if (bytes !== undefined && bytes > maxBytes) throw tooLarge(digest, maxBytes)
    let content: Buffer
    try {
      content = readFileSync(this.path(digest))
    } catch (error) {
      throw readError(digest, error)
    }
    if (digestOf(content, digestAlgorithm(digest)) === digest) return content
    throw new CofferError('storage_error', `blob ${digest} in the home is damaged`, {
      hint: 'Remove the image and pull it again.',
      details: { digest },
    })
  }

  /**
   * Takes in what `source` gives, in whatever pieces. Nothing of it is there before all of it is, checked and durable.
   *
   * @throws `image_pull_failed` if it is not what was expected, `resource_exhausted` beyond `maxBytes`, `aborted`, `storage_error`, and what
   *   the source throws
   */
  async write(
    source: AsyncIterable<Uint8Array>,
    expected: Expected,
    { signal, onBytes }: WriteOptions = {},
  ): Promise<StoredBlob> {
    const staging = temporaryPath(this.#home, 'blob')
    const hash = createHash(expected.digest === undefined ? 'sha256' : digestAlgorithm(expected.digest))
    let bytes = 0
    try {
      await using file = await open(staging, 'wx', 0o600)
      for await (const chunk of source) {
        checkAborted(signal)
        bytes += chunk.length
        if (bytes > expected.maxBytes)
          throw tooLarge(expected.digest ?? 'of unknown digest', expected.maxBytes)
        hash.update(chunk)
        await file.writeFile(chunk)
        onBytes?.(chunk.length)
      }
      const algorithm = expected.digest === undefined ? 'sha256' : digestAlgorithm(expected.digest)
      const digest = `${algorithm}:${hash.digest('hex')}` as Digest
      checkExpected(expected, digest, bytes)
      await file.sync()
      this.#commit(staging, digest)
      return { digest, bytes }
    } catch (error) {
      throw writeError(error)
    } finally {
      rmSync(staging, { force: true })
    }
  }

  /** Removes a blob that is not what its name says any more, so that it is fetched anew. Whether it was so. */
  async removeDamaged(digest: Digest): Promise<boolean> {
    const hash = createHash(digestAlgorithm(digest))
    try {
      for await (const chunk of this.open(digest)) hash.update(chunk)
    } catch (error) {
      if (isCofferError(error, 'not_found')) return false
      throw error
    }
    if (hash.digest('hex') === digestHex(digest)) return false
    this.remove(digest)
    return true
  }

  /** `write` of what is in memory. */
  async writeBytes(bytes: Uint8Array, digest?: Digest): Promise<StoredBlob> {
    const found = digestOf(bytes, digest === undefined ? 'sha256' : digestAlgorithm(digest))
    if (this.has(found) && (digest === undefined || digest === found))
      return { digest: found, bytes: bytes.length }
    const source = async function* () {
      yield bytes
    }
    return this.write(source(), { digest, maxBytes: bytes.length })
  }

  /** What an interrupted download left of a blob, to go on with; the caller holds the lock of the blob. */
  async resume(expected: { readonly digest: Digest; readonly size: number }): Promise<PartialBlob> {
    const path = `${this.#ready(expected.digest)}${partialSuffix}`
    return PartialBlob.open(path, new DigestVerifier(expected), staging =>
      this.#commit(staging, expected.digest),
    )
  }

  /** Bytes of the interrupted, or running, download of a blob. */
  partialBytes(digest: Digest): number {
    return statSync(`${this.path(digest)}${partialSuffix}`, { throwIfNoEntry: false })?.size ?? 0
  }

  removePartial(digest: Digest): void {
    rmSync(`${this.path(digest)}${partialSuffix}`, { force: true })
  }

  remove(digest: Digest): void {
    rmSync(this.path(digest), { force: true })
  }

  list(): StoredBlob[] {
    return this.#entries('')
  }

  /** Interrupted and running downloads. */
  listPartial(): StoredBlob[] {
    return this.#entries(partialSuffix)
  }

  #entries(suffix: string): StoredBlob[] {
    return algorithms.flatMap(algorithm =>
      names(this.#directory(algorithm)).flatMap(name => {
        const digest = `${algorithm}:${name.slice(0, name.length - suffix.length)}`
        if (!name.endsWith(suffix) || !isDigest(digest)) return []
        // Removed between the listing and the look.
        const size = statSync(`${this.path(digest)}${suffix}`, { throwIfNoEntry: false })?.size
        return size === undefined ? [] : [{ digest, bytes: size }]
      }),
    )
  }

  #commit(staging: string, digest: Digest): void {
    const path = this.#ready(digest)
    chmodSync(staging, 0o600)
    faultPoint('image: blob whole')
    renameSync(staging, path)
    faultPoint('image: blob stored')
    syncDirectory(this.#directory(digestAlgorithm(digest)))
  }

  /** The path of a blob, in a directory that is there. */
  #ready(digest: Digest): string {
    mkdirSync(this.#directory(digestAlgorithm(digest)), { recursive: true, mode: 0o700 })
    return this.path(digest)
  }

  #directory(algorithm: (typeof algorithms)[number]): string {
    return join(this.#home.images, 'blobs', algorithm)
  }
}

function checkExpected({ digest, bytes }: Expected, found: Digest, foundBytes: number): void {
  if (bytes !== undefined && bytes !== foundBytes)
    throw unexpected(digest ?? found, `it has ${foundBytes} bytes, ${bytes} were announced`)
  if (digest !== undefined && digest !== found) throw unexpected(digest, `its digest is ${found}`)
}

function unexpected(digest: Digest, problem: string): CofferError {
  return new CofferError('image_pull_failed', `blob ${digest} is not what it should be: ${problem}`, {
    hint: 'The source has wrong bytes. Nothing of them was used.',
    details: { digest, reason: 'digest_mismatch' },
  })
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new CofferError('aborted', 'storing a blob was given up', { cause: signal.reason })
}

function tooLarge(digest: string, maxBytes: number): CofferError {
  return new CofferError('resource_exhausted', `blob ${digest} has more than ${maxBytes} bytes`, {
    details: { maxBytes },
  })
}

function readError(digest: Digest, error: unknown): unknown {
  const code = systemErrorCode(error)
  if (code === 'ENOENT')
    return new CofferError('not_found', `blob ${digest} is not in the home`, {
      hint: 'Pull the image again.',
      details: { digest },
    })
  if (code === undefined) return error
  return new CofferError('storage_error', `cannot read blob ${digest}: ${code}`, { cause: error })
}

const diskErrors = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EPERM', 'ENOENT', 'EFBIG'])

/** A full disk, or one that fails, as the error it is; everything else as it is. */
export function writeError(error: unknown): unknown {
  const code = systemErrorCode(error)
  if (code === undefined || error instanceof CofferError || !diskErrors.has(code)) return error
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new CofferError('storage_error', 'cannot store the image: no space left in the home', {
      hint: 'Free some space (coffer prune), or use a home on another disk (--home).',
      cause: error,
    })
  return new CofferError('storage_error', `cannot store the image: ${code}`, { cause: error })
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}
