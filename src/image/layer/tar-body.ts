import { CofferError } from '../../errors.ts'
import type { ByteReader } from './byte-reader.ts'
import { tarBlockBytes } from './tar-header.ts'

/** The data of one entry, in the reader all entries share. */
export class TarBody {
  readonly #reader: ByteReader
  readonly #padding: number
  #left: number
  #finished = false

  constructor(reader: ByteReader, bytes: number) {
    this.#reader = reader
    this.#left = bytes
    this.#padding = (tarBlockBytes - (bytes % tarBlockBytes)) % tarBlockBytes
  }

  get bytesLeft(): number {
    return this.#left
  }

  /** For what was taken from the reader directly. */
  consumed(bytes: number): void {
    this.#left -= bytes
  }

  /** All of it if it is at hand, else a stream. */
  content(): AsyncIterable<Uint8Array> | Uint8Array {
    const bytes = this.#reader.takeNow(this.#left)
    if (bytes === undefined) return this.stream()
    this.#left = 0
    return bytes
  }

  async *stream(): AsyncGenerator<Uint8Array, void, void> {
    while (this.#left > 0) {
      if (this.#finished) throw readTooLate()
      const piece = await this.#reader.takeSome(this.#left)
      // Says that the archive is cut short.
      if (piece === undefined) return void (await this.#reader.skip(this.#left))
      this.#left -= piece.length
      yield piece
    }
  }

  /** Skips what was not read, and the padding, which the last entry of some archives does not have (umoci insert). */
  async finish(): Promise<void> {
    this.#finished = true
    if (this.#reader.takeNow(this.#left + this.#padding) !== undefined) return
    await this.#reader.skip(this.#left)
    await this.#reader.skipMost(this.#padding)
  }
}

function readTooLate(): CofferError {
  return new CofferError('invalid_state', 'cannot read the content of a tar entry: the reader is past it', {
    hint: 'Read each content before the next entry is asked for.',
  })
}
