import { Readable } from 'node:stream'
import { grantBytes } from './protocol.ts'

/**
 * Standard output or error of an execution. What is not read costs at most the window: credit is granted as bytes leave for the reader,
 * that is, when Node asks for more. (It asks a little early for a reader that takes pieces of a size it names.)
 */
export class OutputStream extends Readable {
  readonly #grant: (bytes: number) => void
  readonly #chunks: { readonly bytes: Buffer; readonly isCounted: boolean }[] = []
  #isWanted = false
  #ended = false
  /** In the stream's own buffer, and out of it but not granted again yet. */
  #unread = 0
  #ungranted = 0

  constructor(grant: (bytes: number) => void) {
    // With a mark of one byte the stream asks for more when the reader has taken what there was.
    super({ highWaterMark: 1 })
    this.#grant = grant
    // Without a listener an error of a stream ends the process; whoever reads still gets it.
    this.on('error', () => {})
  }

  /** Bytes as they arrive. Those of a replay do not count against the window. */
  receive(bytes: Buffer, isReplay = false): void {
    if (this.destroyed) return
    this.#chunks.push({ bytes, isCounted: !isReplay })
    this.#deliver()
  }

  /** No more bytes will arrive. */
  finish(): void {
    this.#ended = true
    this.#deliver()
  }

  override _read(): void {
    this.#isWanted = true
    this.#countRead()
    this.#deliver()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#chunks.length = 0
    callback(error)
  }

  #deliver(): void {
    while (this.#isWanted) {
      const chunk = this.#chunks.shift()
      if (chunk === undefined) break
      if (chunk.isCounted) this.#unread += chunk.bytes.length
      // A listener may read, and so ask for more, before `push` returns.
      this.#isWanted = false
      if (!this.push(chunk.bytes)) continue
      this.#isWanted = true
      this.#countRead()
    }
    if (!this.#ended || this.#chunks.length > 0 || !this.#isWanted) return
    this.#isWanted = false
    this.push(null)
  }

  #countRead(): void {
    this.#ungranted += this.#unread
    this.#unread = 0
    if (this.#ungranted < grantBytes || this.#ended) return
    const bytes = this.#ungranted
    this.#ungranted = 0
    this.#grant(bytes)
  }
}
