import { encodeFrame, type Frame, ProtocolError, readdress } from '../guest/frame.ts'
import { flags, windowBytes } from '../guest/protocol.ts'
import { Window } from './flow.ts'

/** Who takes a channel's output: a client with its own window, or this process, which takes everything at once. */
export type Reader =
  | { readonly kind: 'client'; readonly stream: number; send(frame: Buffer): void }
  | { readonly kind: 'shim'; take(bytes: Buffer): void }

/** Under emulation an interrupt and a frame cost the guest as much as copying 10 KiB, so credit is granted in large pieces. */
const grantBytes = windowBytes / 2

/**
 * One output channel of an execution. The guest sends into a window that is granted anew as bytes leave for the reader; what
 * a client has no window for waits here, at most one window of it.
 */
export class OutputChannel {
  readonly #type: number
  readonly #grant: (bytes: number) => void
  readonly #agentWindow = new Window()
  readonly #held: Frame[] = []
  #reader: Reader
  #readerCredit = 0
  #ungranted = 0
  #ended = false
  #endDelivered = false

  constructor(type: number, reader: Reader, grant: (bytes: number) => void) {
    this.#type = type
    this.#reader = reader
    this.#readerCredit = windowBytes
    this.#grant = grant
  }

  /** The guest has said all it will say here. */
  get isEnded(): boolean {
    return this.#ended
  }

  /** … and the reader has all of it. */
  get isDelivered(): boolean {
    return this.#endDelivered
  }

  /** Throws `ProtocolError` when the guest sends more than it may. */
  receive(frame: Frame): void {
    if (this.#ended) throw new ProtocolError('output after its end')
    this.#agentWindow.spend(frame.payload.length)
    this.#ended = (frame.flags & flags.end) !== 0
    if (frame.payload.length > 0) this.#held.push(frame)
    this.#deliver()
  }

  /** Ends the channel of a command that never ran. */
  end(): void {
    this.#ended = this.#endDelivered = true
  }

  /** The client grants more. Throws `ProtocolError` when it grants more than a window. */
  grantReader(bytes: number): void {
    // A client that just left, or wants no more, may have had a grant under way.
    if (this.#reader.kind !== 'client') return
    this.#readerCredit += bytes
    if (this.#readerCredit > windowBytes) throw new ProtocolError('more credit than a window')
    this.#deliver()
  }

  /** From now on `reader` takes the output, beginning with what is held. */
  handTo(reader: Reader): void {
    this.#reader = reader
    this.#readerCredit = windowBytes
    this.#endDelivered = false
    this.#deliver()
  }

  #deliver(): void {
    for (let frame = this.#held[0]; frame !== undefined; frame = this.#held[0]) {
      const { length } = frame.payload
      if (this.#reader.kind === 'client') {
        if (length > this.#readerCredit) return
        this.#readerCredit -= length
        this.#reader.send(readdress(frame.raw, this.#reader.stream, 0))
      } else this.#reader.take(frame.payload)
      this.#held.shift()
      this.#countDelivered(length)
    }
    if (!this.#ended || this.#endDelivered) return
    this.#endDelivered = true
    if (this.#reader.kind === 'client')
      this.#reader.send(encodeFrame(this.#type, this.#reader.stream, undefined, flags.end))
  }

  #countDelivered(bytes: number): void {
    this.#ungranted += bytes
    if (this.#ungranted < grantBytes || this.#ended) return
    this.#agentWindow.grant(this.#ungranted)
    this.#grant(this.#ungranted)
    this.#ungranted = 0
  }
}
