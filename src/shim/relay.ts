import type { Socket } from 'node:net'
import type { AgentLink } from '../guest/agent-link.ts'
import { type CborMap, encodeCbor } from '../guest/cbor.ts'
import { encodeFrame, type Frame, ProtocolError, rewriteStream } from '../guest/frame.ts'
import type { ExecRequest, Failure, Hello } from '../guest/messages.ts'
import { isMap, parseHello, parseMap, text } from '../guest/parse.ts'
import { frameTypes, maxStreams } from '../guest/protocol.ts'
import { ClientLink } from './client-link.ts'
import type { ExecutionEntry } from './execution-entry.ts'
import { Executions } from './executions.ts'

/** A request that the state of the box does not allow. */
export class Refusal extends Error {}

/** Carries out a client's request; what it returns is the answer. */
export type RequestHandler = (parameters: CborMap) => Promise<CborMap>

/** Who decides about executions, and hears of them. */
export type RelayObserver = {
  /** Why none can be begun now, if none can. */
  refusal(): Failure | undefined
  /** A client has attached to the execution `id`. */
  onAttach(id: string): void
  onStarted(entry: ExecutionEntry): void
  onExited(entry: ExecutionEntry): void
  /** Something passed between an execution and a client, or was written by one. */
  onTraffic(): void
}

type Client = { readonly streams: Map<number, ExecutionEntry>; isGreeted: boolean }

/** Many clients, one agent. Executions of all clients share the agent's stream ids; what is buffered here is bounded by the windows. */
export class Relay {
  readonly executions = new Executions()
  readonly #agent: AgentLink
  readonly #hello: Hello
  readonly #handle: RequestHandler
  readonly #clients = new Map<ClientLink, Client>()
  readonly #observer: RelayObserver
  #isOpen = false

  constructor(agent: AgentLink, hello: Hello, handle: RequestHandler, observer: RelayObserver) {
    this.#agent = agent
    this.#hello = hello
    this.#handle = handle
    this.#observer = observer
  }

  /** A new connection. Its frames wait until `open`. */
  accept(socket: Socket): void {
    const client = new ClientLink(socket, {
      onFrame: (from, frame) => this.#fromClient(from, frame),
      onClose: gone => this.#forget(gone),
    })
    this.#clients.set(client, { streams: new Map(), isGreeted: false })
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

  /** Resolves when every client has all output of what has ended. What has not ended never will: its stream is closed. */
  async drained(): Promise<void> {
    while (this.#isOwed()) await new Promise(resolve => setTimeout(resolve, 10))
  }

  /** Ends all connections, after what was already sent. */
  close(): void {
    for (const client of this.#clients.keys()) client.close()
  }

  /** Makes an execution nobody asked for yet; `start` sends it to the agent. */
  prepare(
    id: string,
    request: ExecRequest,
    onOutput: (type: number, bytes: Buffer) => void,
    isHidden = false,
  ): { entry: ExecutionEntry; start(): void } {
    const entry = this.executions.open({
      id,
      command: request.argv,
      isTerminal: request.tty !== undefined,
      // A hidden one is nobody's to ask about when it has ended.
      detach: !isHidden,
      isHidden,
      toAgent: frame => this.#toAgent(frame),
      onOutput,
    })
    return {
      entry,
      start: () => this.#toAgent(encodeFrame(frameTypes.exec, entry.agentStream, encodeCbor(request))),
    }
  }

  /** Throws `ProtocolError` when the guest breaks the protocol. */
  fromAgent(frame: Frame): void {
    const entry = this.executions.ofAgent(frame.stream)
    if (entry === undefined) throw new ProtocolError(`a frame on stream ${frame.stream}, which nobody opened`)
    entry.fromAgent(frame)
    if (!entry.isHidden) this.#observe(entry, frame.type)
    this.#settle(entry)
  }

  #isOwed(): boolean {
    const isOwed = this.executions.all.some(
      entry => entry.client !== undefined && entry.isDone && !entry.isDelivered,
    )
    return isOwed || [...this.#clients.keys()].some(client => !client.isFlushed)
  }

  #observe(entry: ExecutionEntry, type: number): void {
    if (type === frameTypes.started) this.#observer.onStarted(entry)
    else if (type === frameTypes.exited) this.#observer.onExited(entry)
    else if (type === frameTypes.stdout || type === frameTypes.stderr) this.#observer.onTraffic()
  }

  #fromClient(link: ClientLink, frame: Frame): void {
    const client = this.#clients.get(link)
    if (client === undefined) return
    if (!client.isGreeted) return this.#greet(client, frame)
    if (frame.type !== frameTypes.request) this.#observer.onTraffic()
    switch (frame.type) {
      case frameTypes.exec:
        return this.#execute(link, client, frame)
      case frameTypes.attach:
        return this.#attach(link, client, frame)
      case frameTypes.request:
        return this.#request(link, frame)
      default:
        return this.#toExecution(client, frame)
    }
  }

  #greet(client: Client, frame: Frame): void {
    if (frame.type !== frameTypes.hello) throw new ProtocolError('the first frame must be a hello')
    parseHello(frame.payload)
    client.isGreeted = true
  }

  #execute(link: ClientLink, client: Client, frame: Frame): void {
    checkFree(client, frame)
    const request = parseMap(frame.payload)
    const id = text(request, 'id')
    const problem = this.#observer.refusal() ?? this.#problemWith(id)
    if (problem !== undefined) return link.send(failed(frame.stream, problem))
    const entry = this.executions.open({
      id,
      command: commandOf(request),
      isTerminal: isMap(request['tty']),
      detach: request['detach'] === true,
      toAgent: toAgent => this.#toAgent(toAgent),
    })
    client.streams.set(frame.stream, entry)
    if (request['unread'] === true) entry.beginUnread(link, frame.stream)
    else entry.begin(link, frame.stream)
    this.#toAgent(rewriteStream(frame.raw, entry.agentStream))
  }

  #problemWith(id: string): Failure | undefined {
    if (!/^[0-9A-Za-z]{12}$/.test(id) || this.executions.get(id) !== undefined)
      return failure('bad_argument', 22, 'the id of the execution is malformed or in use')
    if (this.executions.size >= maxStreams)
      return failure('resource_limit', 11, `the box has ${maxStreams} executions already`)
    return undefined
  }

  #attach(link: ClientLink, client: Client, frame: Frame): void {
    checkFree(client, frame)
    const id = text(parseMap(frame.payload), 'id')
    const entry = this.executions.get(id)
    if (entry === undefined)
      return link.send(failed(frame.stream, failure('not_found', 2, `there is no execution ${id}`)))
    if (entry.client !== undefined)
      return link.send(
        failed(frame.stream, failure('invalid_state', 16, `somebody is attached to execution ${id}`)),
      )
    client.streams.set(frame.stream, entry)
    entry.attach(link, frame.stream)
    this.#observer.onAttach(id)
    this.#settle(entry)
  }

  #request(link: ClientLink, frame: Frame): void {
    const answer = (type: number, payload: CborMap): void =>
      link.send(encodeFrame(type, frame.stream, encodeCbor(payload)))
    this.#handle(parseMap(frame.payload)).then(
      result => answer(frameTypes.response, result),
      (error: unknown) => answer(frameTypes.requestFailed, failureOf(error)),
    )
  }

  #toExecution(client: Client, frame: Frame): void {
    const entry = client.streams.get(frame.stream)
    // The execution may have ended while the frame was under way; that is nobody's fault.
    if (entry === undefined) return
    if (frame.type === frameTypes.detach) {
      entry.isDetached = true
      client.streams.delete(frame.stream)
      entry.leave()
    } else entry.fromClient(frame)
    this.#settle(entry)
  }

  #toAgent(frame: Buffer): void {
    this.#agent.send(frame)
    if (this.#agent.isCongested) for (const client of this.#clients.keys()) client.pause()
  }

  /** What nobody needs any more goes. */
  #settle(entry: ExecutionEntry): void {
    if (entry.client !== undefined && (entry.isDelivered || entry.isAwaitedOnly)) {
      this.#clients.get(entry.client)?.streams.delete(entry.clientStream)
      entry.leave()
    }
    this.executions.settle(entry)
  }

  #forget(link: ClientLink): void {
    const client = this.#clients.get(link)
    this.#clients.delete(link)
    for (const entry of client?.streams.values() ?? []) {
      if (entry.isDetached) entry.leave()
      else entry.abandon()
      this.#settle(entry)
    }
  }
}

function checkFree(client: Client, frame: Frame): void {
  if (frame.stream === 0 || client.streams.has(frame.stream))
    throw new ProtocolError(`stream ${frame.stream} is in use`)
}

const maxShownWords = 32
const maxShownLength = 256

/** The command line as `executions` shows it: bounded, whatever was run. */
function commandOf(request: CborMap): string[] {
  const argv: unknown = request['argv']
  if (!Array.isArray(argv)) return []
  return argv.slice(0, maxShownWords).map((word: unknown) => String(word).slice(0, maxShownLength))
}

function failed(stream: number, payload: Failure): Buffer {
  return encodeFrame(frameTypes.execFailed, stream, encodeCbor(payload))
}

function failure(kind: Failure['kind'], errno: number, message: string): Failure {
  return { kind, stage: 'shim', errno, message }
}

function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error)
  return failure(error instanceof Refusal ? 'invalid_state' : 'other', 0, message)
}
