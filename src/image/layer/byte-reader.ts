import { Buffer } from 'node:buffer'

/**
 * Exact numbers of bytes from a source of chunks of any size. What lies in one chunk is given as a view of it, without
 * copying and without waiting: an archive of a million small files must not cost a million turns of the event loop.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0
  #passed = 0
  #ended = false

  readonly #truncated: (position: number) => Error

  /** @param truncated makes the error for a source that ends too early */
  constructor(source: AsyncIterable<Uint8Array>, truncated: (position: number) => Error) {
    this.#source = source[Symbol.asyncIterator]()
    this.#truncated = truncated
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#passed + this.#at
  }

  /** The next `length` bytes if they are at hand. */
  takeNow(length: number): Buffer | undefined {
    if (this.#chunk.length - this.#at < length) return undefined
    this.#at += length
    return this.#chunk.subarray(this.#at - length, this.#at)
  }

  /**
   * The next `length` bytes, or undefined at the end of the source.
   *
   * @throws the error for truncation if the source ends among them
   */
  async take(length: number): Promise<Buffer | undefined> {
    const pieces: Buffer[] = []
    for (let missing = length; missing > 0; ) {
      const piece = await this.takeSome(missing)
      if (piece === undefined) {
        if (pieces.length === 0) return undefined
        throw this.#truncated(this.position)
      }
      pieces.push(piece)
      missing -= piece.length
    }
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
  }

  /** As `take`, where the end of the source is an error as well. */
  async require(length: number): Promise<Buffer> {
    const bytes = this.takeNow(length) ?? (await this.take(length))
    if (bytes === undefined) throw this.#truncated(this.position)
    return bytes
  }

  /** The next bytes, between 1 and `most` of them, or undefined at the end of the source. */
  async takeSome(most: number): Promise<Buffer | undefined> {
    while (this.#at === this.#chunk.length) if (!(await this.#refill())) return undefined
    const piece = this.#chunk.subarray(this.#at, Math.min(this.#at + most, this.#chunk.length))
    this.#at += piece.length
    return piece
  }

  /** @throws as `take` */
  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) {
      const piece = await this.takeSome(missing)
      if (piece === undefined) throw this.#truncated(this.position)
      missing -= piece.length
    }
  }

  /** Skips as many bytes as there are, up to `length`. */
  async skipMost(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) {
      const piece = await this.takeSome(missing)
      if (piece === undefined) return
      missing -= piece.length
    }
  }

  /** Reads the rest: who hashes the source counts on all of it being read. */
  async drain(): Promise<void> {
    this.#at = this.#chunk.length
    while (await this.#refill()) this.#at = this.#chunk.length
  }

  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#source.return?.()
  }

  async #refill(): Promise<boolean> {
    if (this.#ended) return false
    const { done, value } = await this.#source.next()
    if (done) {
      this.#ended = true
      return false
    }
    this.#passed += this.#chunk.length
    this.#chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    this.#at = 0
    return true
  }
}
