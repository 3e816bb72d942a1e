import { encodeFrame, type Frame, ProtocolError, readdress } from '../guest/frame.ts'
import { flags, grantBytes, windowBytes } from '../guest/protocol.ts'
import { Window } from './flow.ts'

/** Who takes a channel's output: a client, as fast as it grants credit, or this process, which takes everything at once. */
export type Reader =
  | { readonly kind: 'client'; readonly stream: number; send(frame: Buffer): void }
  | { readonly kind: 'shim'; take(bytes: Buffer): void }

/**
 * One output channel of an execution. There is one window from the guest to whoever reads: a client's credit is passed through to the
 * guest, and its frames to the client, so that nothing waits here. What this process reads itself it grants itself.
 */
export class OutputChannel {
  readonly #type: number
  readonly #grant: (bytes: number) => void
  readonly #window = new Window()
  #reader: Reader
  #ungranted = 0
  #ended = false
  #endDelivered = false

  constructor(type: number, reader: Reader, grant: (bytes: number) => void) {
    this.#type = type
    this.#reader = reader
    this.#grant = grant
  }

  /** The guest has said all it will say here. */
  get isEnded(): boolean {
    return this.#ended
  }

  /** … and it was passed on to the reader. */
  get isDelivered(): boolean {
    return this.#endDelivered
  }

  /** Throws `ProtocolError` when the guest sends more than it may. */
  receive(frame: Frame): void {
    if (this.#ended) throw new ProtocolError('output after its end')
    const { length } = frame.payload
    this.#window.spend(length)
    this.#ended = (frame.flags & flags.end) !== 0
    if (length > 0) this.#deliver(frame)
    this.#deliverEnd()
  }

  /** Ends the channel of a command that never ran. */
  end(): void {
    this.#ended = this.#endDelivered = true
  }

  /** The client grants more. Throws `ProtocolError` when it grants more than it was sent. */
  grantReader(bytes: number): void {
    // A client that just left, or wants no more, may have had a grant under way.
    if (this.#reader.kind === 'client') this.#grantGuest(bytes)
  }

  /** From now on `reader` takes the output. It has a whole window, and so has the guest: what the last reader owed is forgiven. */
  handTo(reader: Reader): void {
    this.#reader = reader
    this.#ungranted = 0
    this.#grantGuest(windowBytes - this.#window.left)
    this.#endDelivered = false
    this.#deliverEnd()
  }

  #deliver(frame: Frame): void {
    if (this.#reader.kind === 'client') return this.#reader.send(readdress(frame.raw, this.#reader.stream, 0))
    this.#reader.take(frame.payload)
    this.#ungranted += frame.payload.length
    if (this.#ungranted < grantBytes) return
    this.#grantGuest(this.#ungranted)
    this.#ungranted = 0
  }

  #deliverEnd(): void {
    if (!this.#ended || this.#endDelivered) return
    this.#endDelivered = true
    if (this.#reader.kind === 'client')
      this.#reader.send(encodeFrame(this.#type, this.#reader.stream, undefined, flags.end))
  }

  #grantGuest(bytes: number): void {
    if (bytes === 0) return
    this.#window.grant(bytes)
    if (!this.#ended) this.#grant(bytes)
  }
}
