import { ProtocolError } from '../guest/frame.ts'
import { windowBytes } from '../guest/protocol.ts'

/** Credit of one channel in one direction: what the sender may still send. */
export class Window {
  #left = windowBytes

  /** Throws `ProtocolError` when the sender sends more than it was granted. */
  spend(bytes: number): void {
    this.#left -= bytes
    if (this.#left < 0) throw new ProtocolError('more bytes than were granted')
  }

  get left(): number {
    return this.#left
  }

  has(bytes: number): boolean {
    return this.#left >= bytes
  }

  /** Throws `ProtocolError` when the reader grants more than a whole window. */
  grant(bytes: number): void {
    this.#left += bytes
    if (this.#left > windowBytes) throw new ProtocolError('more credit than a window')
  }
}
