import { closeSync, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { type CborMap, encodeCbor } from './cbor.ts'
import { encodeFrame, type Frame, FrameDecoder, ProtocolError } from './frame.ts'
import type { ShimExecRequest, Started } from './messages.ts'
import { parseFailure, parseHello, parseMap } from './parse.ts'
import { frameTypes, protocolVersion } from './protocol.ts'
import { ExecutionRefused, RemoteExecution } from './remote-execution.ts'

/** A shim answers in a millisecond; one that was stopped or is stuck never does. */
const helloDeadlineMs = 10_000

/** The connection to a box's shim ended: the box stopped or died, or the shim did. The box's exit record tells which. */
export class SessionLost extends Error {}

/** A client's connection to one box, with any number of executions and requests on it. */
export class Session implements Disposable {
  /** Resolves when the connection is over, with the cause if it was not `close`. */
  readonly closed: Promise<Error | undefined>
  readonly #socket: Socket
  readonly #decoder = new FrameDecoder()
  readonly #hello = Promise.withResolvers<void>()
  readonly #executions = new Map<number, RemoteExecution>()
  readonly #requests = new Map<number, PromiseWithResolvers<CborMap>>()
  #nextStream = 1
  #watchers = 0
  #failure: Error | undefined

  private constructor(socket: Socket, build: string) {
    this.#socket = socket
    this.#hello.promise.catch(() => {})
    const closed = Promise.withResolvers<Error | undefined>()
    this.closed = closed.promise
    let cause: Error | undefined
    socket.on('error', error => {
      cause = error
    })
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('close', () => {
      this.#fail(new SessionLost('the connection to the box ended', cause === undefined ? {} : { cause }))
      closed.resolve(cause)
    })
    this.#send(
      encodeFrame(frameTypes.hello, 0, encodeCbor({ protocol: protocolVersion, build, features: [] })),
    )
  }

  /** Connects to a shim's socket. Throws the system's error when nobody listens there. */
  static async connect(path: string, build: string): Promise<Session> {
    const session = new Session(await connectShort(path), build)
    const timer = setTimeout(
      () => session.#socket.destroy(new Error('the shim does not answer')),
      helloDeadlineMs,
    )
    try {
      await session.#hello.promise
    } finally {
      clearTimeout(timer)
    }
    session.#holdLoop()
    return session
  }

  get isOpen(): boolean {
    return this.#failure === undefined
  }

  execute(request: ShimExecRequest): RemoteExecution {
    return this.#open(frameTypes.exec, encodeCbor(request), request.stdin)
  }

  /** Joins an execution that is there: what was missed, then what comes. */
  attach(id: string): RemoteExecution {
    return this.#open(frameTypes.attach, encodeCbor({ id }), true)
  }

  /** Opens an execution nobody reads: resolves when it runs, with its pid. Rejects as `started` of an execution does. */
  async start(request: ShimExecRequest): Promise<Started> {
    const execution = this.#open(
      frameTypes.exec,
      encodeCbor({ ...request, detach: true, unread: true }),
      false,
    )
    try {
      return await execution.started
    } finally {
      this.#forget(execution)
    }
  }

  /** Leaves an execution, which runs on. */
  leave(execution: RemoteExecution): void {
    execution.leave()
    this.#forget(execution)
  }

  #forget(execution: RemoteExecution): void {
    for (const [stream, known] of this.#executions) if (known === execution) this.#executions.delete(stream)
    this.#holdLoop()
  }

  #open(type: number, payload: Buffer, hasInput: boolean): RemoteExecution {
    const stream = this.#nextStream++
    const execution = new RemoteExecution(stream, hasInput, frame => this.#send(frame))
    if (this.#failure === undefined) {
      this.#executions.set(stream, execution)
      this.#send(encodeFrame(type, stream, payload))
      this.#holdLoop()
    } else execution.fail(this.#failure)
    return execution
  }

  /** `closed`, keeping the process alive until then. */
  async whenClosed(): Promise<void> {
    this.#watchers += 1
    this.#holdLoop()
    await this.closed
    this.#watchers -= 1
  }

  /** Asks the shim to carry out `method`. Rejects with `ExecutionRefused` when it refuses, `SessionLost` when it goes away. */
  request(method: string, parameters: CborMap = {}): Promise<CborMap> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const stream = this.#nextStream++
    const answer = Promise.withResolvers<CborMap>()
    this.#requests.set(stream, answer)
    this.#send(encodeFrame(frameTypes.request, stream, encodeCbor({ method, ...parameters })))
    this.#holdLoop()
    return answer.promise
  }

  /** Closes the connection, after what was sent has left. */
  [Symbol.dispose](): void {
    if (this.#socket.writableCorked > 0) this.#socket.uncork()
    this.#socket.destroySoon()
  }

  #send(frame: Buffer): void {
    if (!this.#socket.writable) return
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork()
      process.nextTick(() => this.#socket.uncork())
    }
    this.#socket.write(frame)
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) this.#dispatch(frame)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#fail(error)
      this.#socket.destroy(error)
    }
  }

  #dispatch(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.hello:
        parseHello(frame.payload)
        return this.#hello.resolve()
      case frameTypes.protocolError:
        throw new ProtocolError('the shim refused our frames')
      case frameTypes.response:
        return this.#settle(frame.stream, answer => answer.resolve(parseMap(frame.payload)))
      case frameTypes.requestFailed:
        return this.#settle(frame.stream, answer =>
          answer.reject(new ExecutionRefused(parseFailure(frame.payload))),
        )
      default:
        return this.#toExecution(frame)
    }
  }

  #toExecution(frame: Frame): void {
    const execution = this.#executions.get(frame.stream)
    if (execution === undefined) {
      // It was left, and the frame under way.
      if (frame.stream > 0 && frame.stream < this.#nextStream) return
      throw new ProtocolError(`a frame on stream ${frame.stream}, which nobody opened`)
    }
    execution.receive(frame)
    if (execution.isFinished) this.#executions.delete(frame.stream)
    this.#holdLoop()
  }

  #settle(stream: number, settle: (answer: PromiseWithResolvers<CborMap>) => void): void {
    const answer = this.#requests.get(stream)
    this.#requests.delete(stream)
    if (answer !== undefined) settle(answer)
    this.#holdLoop()
  }

  /** The connection keeps the process alive while somebody waits for something on it, and only then. */
  #holdLoop(): void {
    if (this.#executions.size + this.#requests.size + this.#watchers > 0) this.#socket.ref()
    else this.#socket.unref()
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#hello.reject(error)
    for (const execution of this.#executions.values()) execution.fail(error)
    for (const answer of this.#requests.values()) answer.reject(error)
    this.#executions.clear()
    this.#requests.clear()
  }
}

/** unix(7) allows a socket path of 107 bytes; through a descriptor of its directory every path is short. */
async function connectShort(path: string): Promise<Socket> {
  const directory = openSync(dirname(path), 'r')
  try {
    const socket = connect(`/proc/self/fd/${directory}/${basename(path)}`)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return socket
  } finally {
    closeSync(directory)
  }
}
