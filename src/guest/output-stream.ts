import { Readable } from 'node:stream'
import { windowBytes } from './protocol.ts'

/** Credit is granted in pieces of this size: often enough that the sender never waits for a reader who keeps up. */
const grantBytes = windowBytes / 8

/**
 * Standard output or error of an execution. What is not read costs at most the window and this stream's own small buffer: credit is granted
 * as bytes leave for the reader.
 */
export class OutputStream extends Readable {
  readonly #grant: (bytes: number) => void
  readonly #chunks: { readonly bytes: Buffer; readonly isCounted: boolean }[] = []
  #isWanted = false
  #ended = false
  #ungranted = 0

  constructor(grant: (bytes: number) => void) {
    super({ highWaterMark: 64 * 1024 })
    this.#grant = grant
    // Without a listener an error of a stream ends the process; whoever reads still gets it.
    this.on('error', () => {})
  }

  /** Bytes as they arrive. Those of a replay do not count against the window. */
  receive(bytes: Buffer, isReplay = false): void {
    if (this.destroyed) return
    this.#chunks.push({ bytes, isCounted: !isReplay })
    if (this.#isWanted) this.#deliver()
  }

  /** No more bytes will arrive. */
  finish(): void {
    this.#ended = true
    if (this.#isWanted) this.#deliver()
  }

  override _read(): void {
    this.#isWanted = true
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
      this.#isWanted = this.push(chunk.bytes)
      if (chunk.isCounted) this.#count(chunk.bytes.length)
    }
    if (this.#ended && this.#chunks.length === 0 && this.#isWanted) {
      this.#isWanted = false
      this.push(null)
    }
  }

  #count(bytes: number): void {
    this.#ungranted += bytes
    if (this.#ungranted < grantBytes || this.#ended) return
    this.#grant(this.#ungranted)
    this.#ungranted = 0
  }
}
