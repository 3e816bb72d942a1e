import { rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { DigestVerifier } from './digest.ts'

const readBytes = 1024 * 1024

/**
 * A download under way, in a file that outlives whoever downloads: `HEX.partial`. What an earlier one left is hashed again first, so the whole
 * is checked in the end whoever brought its parts.
 */
export class PartialBlob implements AsyncDisposable {
  readonly verifier: DigestVerifier
  /** Bytes that were there already. */
  readonly resumedBytes: number
  readonly #path: string
  readonly #file: FileHandle
  readonly #commit: (path: string) => void

  private constructor(
    path: string,
    file: FileHandle,
    verifier: DigestVerifier,
    commit: (path: string) => void,
  ) {
    this.#path = path
    this.#file = file
    this.verifier = verifier
    this.resumedBytes = verifier.bytes
    this.#commit = commit
  }

  static async open(
    path: string,
    verifier: DigestVerifier,
    commit: (path: string) => void,
  ): Promise<PartialBlob> {
    const file = await open(path, 'a+', 0o600)
    try {
      // Longer than the blob, it cannot be a beginning of it.
      if ((await file.stat()).size > verifier.size) await file.truncate(0)
      const buffer = Buffer.allocUnsafe(readBytes)
      for (let position = 0; ; ) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
        if (bytesRead === 0) break
        verifier.update(buffer.subarray(0, bytesRead))
        position += bytesRead
      }
      return new PartialBlob(path, file, verifier, commit)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async append(chunk: Uint8Array): Promise<void> {
    await this.#file.appendFile(chunk)
  }

  /** Makes it a blob. The caller has verified it. */
  async finish(): Promise<void> {
    await this.#file.sync()
    this.#commit(this.#path)
  }

  /** It is of no use to anybody. */
  discard(): void {
    rmSync(this.#path, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
