import type { Socket } from 'node:net'
import { encodeCbor } from '../guest/cbor.ts'
import { encodeFrame, type Frame, FrameDecoder, ProtocolError } from '../guest/frame.ts'
import { frameTypes } from '../guest/protocol.ts'

export type ClientEvents = {
  onFrame(client: ClientLink, frame: Frame): void
  onClose(client: ClientLink): void
}

// The windows of a client's streams bound what it can be owed; a client far beyond has stopped reading.
const maxOwedBytes = 256 * 1024 * 1024

/** The shim's end of one client's connection. */
export class ClientLink {
  readonly #socket: Socket
  readonly #decoder = new FrameDecoder()
  readonly #events: ClientEvents

  constructor(socket: Socket, events: ClientEvents) {
    this.#socket = socket
    this.#events = events
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    // 'close' follows every error and says all that matters here: the client is gone.
    socket.on('error', () => {})
    socket.on('close', () => events.onClose(this))
  }

  send(frame: Buffer): void {
    if (!this.#socket.writable) return
    if (this.#socket.writableLength > maxOwedBytes) {
      this.#socket.destroy()
      return
    }
    // Frames of one turn of the event loop leave in one system call.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork()
      process.nextTick(() => this.#socket.uncork())
    }
    this.#socket.write(frame)
  }

  /** Whether the client's side of the socket has taken everything that was sent. */
  get isFlushed(): boolean {
    return this.#socket.destroyed || this.#socket.writableLength === 0
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Delivers what was sent, then closes. */
  close(): void {
    this.#socket.end()
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) this.#events.onFrame(this, frame)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.send(encodeFrame(frameTypes.protocolError, 0, encodeCbor({ message: error.message })))
      this.#socket.destroySoon()
    }
  }
}
