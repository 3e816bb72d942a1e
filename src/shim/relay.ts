import type { Socket } from 'node:net'
import { type CborMap, encodeCbor } from '../guest/cbor.ts'
import { encodeFrame, type Frame, ProtocolError, rewriteStream } from '../guest/frame.ts'
import type { Failure, Hello } from '../guest/messages.ts'
import { parseHello, parseMap } from '../guest/parse.ts'
import { frameTypes, maxStreams, signalTargets } from '../guest/protocol.ts'
import type { AgentLink } from './agent-link.ts'
import { ClientLink } from './client-link.ts'
import { ExecutionEntry } from './execution-entry.ts'

/** Carries out a client's request; what it returns is the answer. */
export type RequestHandler = (parameters: CborMap) => Promise<CborMap>

/**
 * Many clients, one agent. Executions of all clients share the agent's stream ids; credit passes through from end to end, so
 * nothing is buffered here beyond the windows.
 */
export class Relay {
  readonly #agent: AgentLink
  readonly #hello: Hello
  readonly #handle: RequestHandler
  readonly #clients = new Map<ClientLink, Map<number, ExecutionEntry>>()
  readonly #executions = new Map<number, ExecutionEntry>()
  #greeted = new WeakSet<ClientLink>()
  #nextStream = 1
  #isOpen = false

  constructor(agent: AgentLink, hello: Hello, handle: RequestHandler) {
    this.#agent = agent
    this.#hello = hello
    this.#handle = handle
  }

  /** A new connection. Its frames wait until `open`. */
  accept(socket: Socket): void {
    const client = new ClientLink(socket, {
      onFrame: (from, frame) => this.#fromClient(from, frame),
      onClose: gone => this.#forget(gone),
    })
    this.#clients.set(client, new Map())
    client.send(encodeFrame(frameTypes.hello, 0, encodeCbor(this.#hello)))
    if (!this.#isOpen || this.#agent.isCongested) client.pause()
  }

  /** The container runs: clients are heard from now on. */
  open(): void {
    this.#isOpen = true
    this.resume()
  }

  /** The agent takes bytes again. */
  resume(): void {
    if (this.#isOpen) for (const client of this.#clients.keys()) client.resume()
  }

  /** Ends all connections, after what was already sent. */
  close(): void {
    for (const client of this.#clients.keys()) client.close()
  }

  /** Throws `ProtocolError` when the guest breaks the protocol. */
  fromAgent(frame: Frame): void {
    const execution = this.#executions.get(frame.stream)
    if (execution === undefined)
      throw new ProtocolError(`a frame on stream ${frame.stream}, which nobody opened`)
    execution.fromAgent(frame)
    if (!execution.isFinished) return
    this.#executions.delete(execution.agentStream)
    if (execution.client !== undefined) this.#clients.get(execution.client)?.delete(execution.clientStream)
  }

  #fromClient(client: ClientLink, frame: Frame): void {
    if (!this.#greeted.has(client)) return this.#greet(client, frame)
    if (frame.type === frameTypes.exec) this.#execute(client, frame)
    else if (frame.type === frameTypes.request) this.#request(client, frame)
    else {
      // The execution may have ended while the frame was under way; that is nobody's fault.
      const execution = this.#clients.get(client)?.get(frame.stream)
      if (execution !== undefined) this.#toAgent(execution.fromClient(frame))
    }
  }

  #greet(client: ClientLink, frame: Frame): void {
    if (frame.type !== frameTypes.hello) throw new ProtocolError('the first frame must be a hello')
    parseHello(frame.payload)
    this.#greeted.add(client)
  }

  #execute(client: ClientLink, frame: Frame): void {
    const streams = this.#clients.get(client)
    if (streams === undefined) return
    if (frame.stream === 0 || streams.has(frame.stream))
      throw new ProtocolError(`stream ${frame.stream} is in use`)
    if (this.#executions.size >= maxStreams) {
      client.send(encodeFrame(frameTypes.execFailed, frame.stream, encodeCbor(tooMany)))
      return
    }
    const execution = new ExecutionEntry(this.#freeStream(), client, frame.stream)
    this.#executions.set(execution.agentStream, execution)
    streams.set(frame.stream, execution)
    this.#toAgent(rewriteStream(frame.raw, execution.agentStream))
  }

  #request(client: ClientLink, frame: Frame): void {
    const answer = (type: number, payload: CborMap): void =>
      client.send(encodeFrame(type, frame.stream, encodeCbor(payload)))
    this.#handle(parseMap(frame.payload)).then(
      result => answer(frameTypes.response, result),
      (error: unknown) => answer(frameTypes.requestFailed, failureOf(error)),
    )
  }

  #toAgent(frame: Buffer): void {
    this.#agent.send(frame)
    if (this.#agent.isCongested) for (const client of this.#clients.keys()) client.pause()
  }

  /** Executions of a client that went away are nobody's: their processes end, their output is dropped. */
  #forget(client: ClientLink): void {
    for (const execution of this.#clients.get(client)?.values() ?? []) {
      execution.client = undefined
      this.#toAgent(encodeFrame(frameTypes.discard, execution.agentStream))
      const signal = Buffer.alloc(4)
      signal.writeUInt32LE(9)
      this.#toAgent(encodeFrame(frameTypes.signal, execution.agentStream, signal, signalTargets.tree))
    }
    this.#clients.delete(client)
  }

  #freeStream(): number {
    const lastStream = 0x7fffffff
    do this.#nextStream = this.#nextStream >= lastStream ? 1 : this.#nextStream + 1
    while (this.#executions.has(this.#nextStream))
    return this.#nextStream
  }
}

const tooMany: Failure = {
  kind: 'resource_limit',
  stage: 'relay',
  errno: 11,
  message: `the box has ${maxStreams} executions already`,
}

function failureOf(error: unknown): Failure {
  return {
    kind: 'other',
    stage: 'shim',
    errno: 0,
    message: error instanceof Error ? error.message : String(error),
  }
}
