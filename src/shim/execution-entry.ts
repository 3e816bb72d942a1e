import { type CborMap, encodeCbor } from '../guest/cbor.ts'
import { encodeCredit, encodeFrame, type Frame, ProtocolError, rewriteStream } from '../guest/frame.ts'
import type { Exited, Failure } from '../guest/messages.ts'
import { parseCredit, parseExited, parseFailure, parseStarted } from '../guest/parse.ts'
import { channels, flags, frameTypes, signalTargets } from '../guest/protocol.ts'
import type { ClientLink } from './client-link.ts'
import { InputChannel } from './input-channel.ts'
import { OutputChannel, type Reader } from './output-channel.ts'
import { OutputTail } from './output-tail.ts'

export type EntryOptions = {
  readonly id: string
  readonly agentStream: number
  readonly command: readonly string[]
  readonly isTerminal: boolean
  /** It runs on without a client. */
  readonly detach: boolean
  /** The shim's own: no list shows it and no event tells of it. */
  readonly isHidden?: boolean | undefined
  toAgent(frame: Buffer): void
  /** Sees all output, also what a client reads. */
  readonly onOutput?: ((type: number, bytes: Buffer) => void) | undefined
}

const sigkill = 9

/** One execution as it passes through the shim: who reads it, what each side may still send, and how it ended. */
export class ExecutionEntry {
  readonly id: string
  readonly agentStream: number
  readonly isTerminal: boolean
  readonly isHidden: boolean
  readonly command: readonly string[]
  isDetached: boolean
  client: ClientLink | undefined
  clientStream = 0
  pid: number | undefined
  exited: Exited | undefined
  failure: Failure | undefined
  readonly #options: EntryOptions
  #isUnread = false
  readonly #startedAtMs = Date.now()
  readonly #tail = new OutputTail()
  readonly #stdin: InputChannel
  readonly #stdout: OutputChannel
  readonly #stderr: OutputChannel
  readonly #done = Promise.withResolvers<void>()
  readonly #begun = Promise.withResolvers<void>()

  constructor(options: EntryOptions) {
    this.#options = options
    this.id = options.id
    this.agentStream = options.agentStream
    this.isTerminal = options.isTerminal
    this.isHidden = options.isHidden ?? false
    this.command = options.command
    this.isDetached = options.detach
    this.#stdin = new InputChannel(options.agentStream, options.toAgent)
    this.#stdout = this.#output(frameTypes.stdout, channels.stdout)
    this.#stderr = this.#output(frameTypes.stderr, channels.stderr)
  }

  /** The guest has said all it will say, and its stream id is free. */
  get isDone(): boolean {
    if (this.failure !== undefined) return true
    return this.exited !== undefined && this.#stdout.isEnded && this.#stderr.isEnded
  }

  /** … and the client, if there is one, has all of it. */
  get isDelivered(): boolean {
    return this.isDone && this.#stdout.isDelivered && this.#stderr.isDelivered
  }

  /** Resolves when `isDone`. */
  get done(): Promise<void> {
    return this.#done.promise
  }

  /** Resolves when the command runs, or is known not to. */
  get begun(): Promise<void> {
    return this.#begun.promise
  }

  describe(): CborMap {
    return {
      id: this.id,
      command: this.command,
      pid: this.pid ?? null,
      startedAtMs: this.#startedAtMs,
      attached: this.client !== undefined,
      tty: this.isTerminal,
      exited: this.exited ?? null,
    }
  }

  /** Takes a frame of the guest. Throws `ProtocolError` when it comes out of turn. */
  fromAgent(frame: Frame): void {
    if (this.isDone) throw new ProtocolError('a frame on a finished stream')
    switch (frame.type) {
      case frameTypes.stdout:
        this.#options.onOutput?.(frame.type, frame.payload)
        this.#stdout.receive(frame)
        break
      case frameTypes.stderr:
        this.#options.onOutput?.(frame.type, frame.payload)
        this.#stderr.receive(frame)
        break
      case frameTypes.credit:
        if (frame.flags !== channels.stdin)
          throw new ProtocolError('credit for a channel the guest does not read')
        this.#stdin.grantAgent(parseCredit(frame.payload))
        break
      case frameTypes.started:
        this.pid = parseStarted(frame.payload).pid
        this.#begun.resolve()
        this.#pass(frame)
        break
      case frameTypes.stdinFailed:
        this.#stdin.refuse()
        this.#pass(frame)
        break
      case frameTypes.exited:
        if (this.exited !== undefined) throw new ProtocolError('a second exit')
        this.exited = parseExited(frame.payload)
        this.#stdin.refuse()
        this.#pass(frame)
        break
      case frameTypes.execFailed:
        this.failure = parseFailure(frame.payload)
        this.#begun.resolve()
        this.#stdout.end()
        this.#stderr.end()
        this.#pass(frame)
        break
      default:
        throw new ProtocolError(`a frame of type ${frame.type} from the guest`)
    }
    if (this.isDone) this.#done.resolve()
  }

  /** Takes a frame of the client that is attached. Throws `ProtocolError` when it breaks the rules. */
  fromClient(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.stdin:
        return this.#stdin.receive(frame)
      case frameTypes.credit:
        return this.#outputOf(frame.flags).grantReader(parseCredit(frame.payload))
      case frameTypes.signal:
      case frameTypes.resize:
        if (this.exited === undefined) this.#options.toAgent(rewriteStream(frame.raw, this.agentStream))
        return
      case frameTypes.discard:
        return this.#readBy({ kind: 'shim', take: () => {} })
      default:
        throw new ProtocolError(`a frame of type ${frame.type} from a client`)
    }
  }

  /** The client that asked for the execution; nothing was missed. */
  begin(client: ClientLink, stream: number): void {
    this.#bind(client, stream)
    this.#readBy(this.#reader(client, stream))
  }

  /** A client that only wants to hear that it runs: its output is kept from the first byte. */
  beginUnread(client: ClientLink, stream: number): void {
    this.client = client
    this.clientStream = stream
    this.#isUnread = true
  }

  /** The client of `beginUnread` has heard what it wanted to hear. */
  get isAwaitedOnly(): boolean {
    return this.#isUnread && (this.pid !== undefined || this.failure !== undefined)
  }

  /** A client joins: it is told that the execution runs, gets what it missed, and from then on everything. */
  attach(client: ClientLink, stream: number): void {
    this.#bind(client, stream)
    if (this.pid !== undefined)
      client.send(encodeFrame(frameTypes.started, stream, encodeCbor({ pid: this.pid })))
    for (const { type, bytes } of this.#tail.take())
      client.send(encodeFrame(type, stream, bytes, flags.replay))
    if (this.failure !== undefined)
      return client.send(encodeFrame(frameTypes.execFailed, stream, encodeCbor(this.failure)))
    this.#readBy(this.#reader(client, stream))
    if (this.exited !== undefined)
      client.send(encodeFrame(frameTypes.exited, stream, encodeCbor(this.exited)))
  }

  /** The client leaves; the end of what is written from now on is kept for the next. */
  leave(): void {
    this.client = undefined
    this.#isUnread = false
    this.#stdin.handTo(undefined)
    this.#keepOutput()
  }

  /** Nobody will ever read it: its processes end, its output is dropped. */
  abandon(): void {
    this.client = undefined
    this.#stdin.handTo(undefined)
    this.#readBy({ kind: 'shim', take: () => {} })
    this.kill(sigkill, signalTargets.tree)
  }

  kill(signal: number, target: number): void {
    if (this.isDone) return
    const payload = Buffer.alloc(4)
    payload.writeUInt32LE(signal)
    this.#options.toAgent(encodeFrame(frameTypes.signal, this.agentStream, payload, target))
  }

  #output(type: number, channel: number): OutputChannel {
    const grant = (bytes: number): void =>
      this.#options.toAgent(encodeCredit(this.agentStream, channel, bytes))
    return new OutputChannel(type, this.#keeper(type), grant)
  }

  #keeper(type: number): Reader {
    return { kind: 'shim', take: bytes => this.#tail.push(type, bytes) }
  }

  #keepOutput(): void {
    this.#stdout.handTo(this.#keeper(frameTypes.stdout))
    this.#stderr.handTo(this.#keeper(frameTypes.stderr))
  }

  #reader(client: ClientLink, stream: number): Reader {
    return { kind: 'client', stream, send: frame => client.send(frame) }
  }

  #readBy(reader: Reader): void {
    this.#stdout.handTo(reader)
    this.#stderr.handTo(reader)
  }

  #bind(client: ClientLink, stream: number): void {
    this.client = client
    this.clientStream = stream
    this.#stdin.handTo(bytes => client.send(encodeCredit(stream, channels.stdin, bytes)))
  }

  #outputOf(channel: number): OutputChannel {
    if (channel === channels.stdout) return this.#stdout
    if (channel === channels.stderr) return this.#stderr
    throw new ProtocolError('credit for a channel the client does not read')
  }

  #pass(frame: Frame): void {
    this.client?.send(rewriteStream(frame.raw, this.clientStream))
  }
}
