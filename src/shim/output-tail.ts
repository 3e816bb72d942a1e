import { windowBytes } from '../guest/protocol.ts'

/** A piece of output: the frame type of its channel, and bytes. */
export type Piece = { readonly type: number; readonly bytes: Buffer }

/** The end of what an execution wrote while nobody read it: one window of bytes over both channels, in their order. */
export class OutputTail {
  readonly #pieces: Piece[] = []
  #bytes = 0

  push(type: number, bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#pieces.push({ type, bytes })
    this.#bytes += bytes.length
    for (
      let first = this.#pieces[0];
      first !== undefined && this.#bytes > windowBytes;
      first = this.#pieces[0]
    ) {
      const surplus = this.#bytes - windowBytes
      this.#bytes -= Math.min(surplus, first.bytes.length)
      if (surplus >= first.bytes.length) this.#pieces.shift()
      else this.#pieces[0] = { type: first.type, bytes: first.bytes.subarray(surplus) }
    }
  }

  /** Everything that is kept; it is then kept no longer. */
  take(): Piece[] {
    this.#bytes = 0
    return this.#pieces.splice(0)
  }
}
