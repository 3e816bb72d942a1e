import { encodeFrame, type Frame } from '../guest/frame.ts'
import { flags, frameTypes } from '../guest/protocol.ts'
import { Window } from './flow.ts'

/** Standard input of an execution: what the guest has no window for waits here, at most one window of the client's. */
export class InputChannel {
  readonly #send: (frame: Buffer) => void
  readonly #stream: number
  readonly #agentWindow = new Window()
  readonly #held: Frame[] = []
  #clientWindow = new Window()
  #grantClient: ((bytes: number) => void) | undefined
  #isRefused = false

  constructor(agentStream: number, send: (frame: Buffer) => void) {
    this.#stream = agentStream
    this.#send = send
  }

  /** A client with a window of its own writes from now on; undefined: nobody. */
  handTo(grantClient: ((bytes: number) => void) | undefined): void {
    this.#grantClient = grantClient
    this.#clientWindow = new Window()
  }

  /** Throws `ProtocolError` when the client sends more than it was granted. */
  receive(frame: Frame): void {
    this.#clientWindow.spend(frame.payload.length)
    this.#held.push(frame)
    this.#deliver()
  }

  /** The guest reads on. Throws `ProtocolError` when it grants more than a window. */
  grantAgent(bytes: number): void {
    this.#agentWindow.grant(bytes)
    this.#deliver()
  }

  /** The process reads no more: what is held and what comes is dropped. */
  refuse(): void {
    this.#isRefused = true
    this.#held.length = 0
  }

  #deliver(): void {
    for (let frame = this.#held[0]; frame !== undefined; frame = this.#held[0]) {
      if (!this.#isRefused) {
        if (!this.#agentWindow.has(frame.payload.length)) return
        this.#agentWindow.spend(frame.payload.length)
        this.#send(encodeFrame(frameTypes.stdin, this.#stream, frame.payload, frame.flags & flags.end))
      }
      this.#held.shift()
      this.#clientWindow.grant(frame.payload.length)
      this.#grantClient?.(frame.payload.length)
    }
  }
}
