import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { type CborMap, encodeCbor } from './cbor.ts'
import { encodeFrame, type Frame, FrameDecoder, ProtocolError } from './frame.ts'
import type { Configure, Configured, Failure, GuestConfiguration, Hello } from './messages.ts'
import { parseConfigured, parseFailure, parseHello, parseMap, text } from './parse.ts'
import { frameTypes } from './protocol.ts'

/** The guest refused its configuration: a mount failed, an image is broken. */
export class ConfigureError extends Error {
  readonly failure: Failure
  constructor(failure: Failure) {
    super(`${failure.stage}: ${failure.message}`)
    this.failure = failure
  }
}

/** The host's CLOCK_REALTIME. Not from `performance.timeOrigin`: that does not follow a clock that was set since. */
export function hostTimeNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n
}

const clockAttempts = 5
const clockToleranceMs = 25

export type AgentEvents = {
  onFrame(frame: Frame): void
  /** The guest broke the protocol, or its side of the channel is gone. */
  onFailure(error: Error): void
  onDrain(): void
}

/** The host's end of the channel to the agent. What comes from here is hostile. */
export class AgentLink {
  readonly #socket: Socket
  readonly #hello: Hello
  readonly #events: AgentEvents
  readonly #decoder = new FrameDecoder()
  readonly #greeted = Promise.withResolvers<Hello>()
  readonly #configured = Promise.withResolvers<Configured>()
  readonly #requests = new Map<number, PromiseWithResolvers<CborMap>>()
  #nextRequest = 0x80000001

  constructor(socket: Socket, hello: Hello, events: AgentEvents) {
    this.#socket = socket
    this.#hello = hello
    this.#events = events
    this.#greeted.promise.catch(() => {})
    this.#configured.promise.catch(() => {})
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('close', () => this.#fail(new Error('the channel to the guest closed')))
    socket.on('drain', () => events.onDrain())
  }

  /** True when QEMU takes bytes slower than they come: what feeds this link must pause until `onDrain`. */
  get isCongested(): boolean {
    return this.#socket.writableNeedDrain
  }

  /** Resolves with the agent's first hello: to a machine that boots, or to ours. Rejects when it speaks another version. */
  get greeted(): Promise<Hello> {
    return this.#greeted.promise
  }

  /** Begins the connection: it tells the agent that whoever spoke to it when the template was made is gone. */
  greet(): void {
    this.send(encodeFrame(frameTypes.hello, 0, encodeCbor(this.#hello)))
  }

  /** Resolves when the container runs. Throws `ConfigureError` when the guest cannot set it up. */
  configure(guest: GuestConfiguration): Promise<Configured> {
    const configure: Configure = { ...guest, timeNs: hostTimeNs(), entropy: randomBytes(64) }
    this.greet()
    this.send(encodeFrame(frameTypes.configure, 0, encodeCbor(configure)))
    return this.#configured.promise
  }

  /**
   * Sets the guest's clock. What is sent after the call finds it set; resolves when the guest has it within some 25 ms of the host's. The time in a
   * frame is as old as the guest took to read it, which after a restore on a busy host is long, and only the answer tells.
   */
  async setClock(): Promise<void> {
    for (let attempt = 0; attempt < clockAttempts; attempt++) {
      const sentAt = performance.now()
      await this.request('clock', { timeNs: hostTimeNs() })
      if (performance.now() - sentAt < clockToleranceMs) return
    }
  }

  /** Asks the agent to carry out `method`; resolves with what it says when it did. */
  request(method: string, parameters: CborMap = {}): Promise<CborMap> {
    const id = this.#nextRequest++
    const waiter = Promise.withResolvers<CborMap>()
    this.#requests.set(id, waiter)
    this.send(encodeFrame(frameTypes.request, id, encodeCbor({ method, ...parameters })))
    return waiter.promise
  }

  send(frame: Buffer): void {
    if (this.#socket.writable) this.#socket.write(frame)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) this.#dispatch(frame)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#socket.destroy()
      this.#fail(error)
    }
  }

  #dispatch(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.hello:
        return this.#greeted.resolve(parseHello(frame.payload))
      case frameTypes.configured:
        return this.#configured.resolve(parseConfigured(frame.payload))
      case frameTypes.configureFailed:
        return this.#configured.reject(new ConfigureError(parseFailure(frame.payload)))
      case frameTypes.protocolError:
        throw new ProtocolError(`the agent refused our frames: ${text(parseMap(frame.payload), 'message')}`)
      case frameTypes.response:
        return this.#settle(frame, waiter => waiter.resolve(parseMap(frame.payload)))
      case frameTypes.requestFailed:
        return this.#settle(frame, waiter => waiter.reject(new Error(parseFailure(frame.payload).message)))
      default:
        return this.#events.onFrame(frame)
    }
  }

  #settle(frame: Frame, settle: (waiter: PromiseWithResolvers<CborMap>) => void): void {
    const waiter = this.#requests.get(frame.stream)
    if (waiter === undefined) throw new ProtocolError('an answer nobody asked for')
    this.#requests.delete(frame.stream)
    settle(waiter)
  }

  #fail(error: Error): void {
    this.#greeted.reject(error)
    this.#configured.reject(error)
    for (const waiter of this.#requests.values()) waiter.reject(error)
    this.#requests.clear()
    this.#events.onFailure(error)
  }
}
