import { encodeCredit, encodeFrame, type Frame, ProtocolError } from './frame.ts'
import { InputStream } from './input-stream.ts'
import type { Exited, Failure, Started } from './messages.ts'
import { OutputStream } from './output-stream.ts'
import { parseCredit, parseExited, parseFailure, parseStarted } from './parse.ts'
import { channels, flags, frameTypes } from './protocol.ts'

/** The command could not be run. */
export class ExecutionRefused extends Error {
  readonly failure: Failure
  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

/** One execution as a client sees it: its streams, and two promises that settle once each. */
export class RemoteExecution {
  readonly stdin: InputStream | undefined
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Rejects with `ExecutionRefused`, or with whatever ended the session. */
  readonly started: Promise<Started>
  /** Rejects with whatever ended the session before the process did. */
  readonly exited: Promise<Exited>
  readonly #stream: number
  readonly #send: (frame: Buffer) => void
  readonly #started = Promise.withResolvers<Started>()
  readonly #exited = Promise.withResolvers<Exited>()
  #hasExited = false
  #openOutputs = 2

  /** Made by `Session`, which sends the frame that opens the stream. */
  constructor(stream: number, hasInput: boolean, send: (frame: Buffer) => void) {
    this.#stream = stream
    this.#send = send
    this.started = this.#started.promise
    this.exited = this.#exited.promise
    // Nobody has to wait for either.
    this.started.catch(() => {})
    this.exited.catch(() => {})
    this.stdin = hasInput ? new InputStream((bytes, isEnd) => this.#sendInput(bytes, isEnd)) : undefined
    this.stdout = new OutputStream(bytes => send(encodeCredit(stream, channels.stdout, bytes)))
    this.stderr = new OutputStream(bytes => send(encodeCredit(stream, channels.stderr, bytes)))
  }

  get isFinished(): boolean {
    return this.#hasExited && this.#openOutputs === 0
  }

  /** `target` is one of `signalTargets`. A process that is gone is no error. */
  signal(number: number, target: number): void {
    const payload = Buffer.allocUnsafe(4)
    payload.writeUInt32LE(number)
    this.#send(encodeFrame(frameTypes.signal, this.#stream, payload, target))
  }

  resize(rows: number, columns: number): void {
    const payload = Buffer.allocUnsafe(4)
    payload.writeUInt16LE(rows, 0)
    payload.writeUInt16LE(columns, 2)
    this.#send(encodeFrame(frameTypes.resize, this.#stream, payload))
  }

  /** Leaves the execution, which runs on: the streams end here. */
  leave(): void {
    if (this.isFinished) return
    this.#send(encodeFrame(frameTypes.detach, this.#stream))
    this.#hasExited = true
    this.#openOutputs = 0
    this.#exited.reject(new Error('left'))
    this.stdin?.destroy()
    this.stdout.finish()
    this.stderr.finish()
  }

  /** Output nobody will read need not be sent. */
  discard(): void {
    if (!this.isFinished) this.#send(encodeFrame(frameTypes.discard, this.#stream))
  }

  receive(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.started:
        return this.#started.resolve(parseStarted(frame.payload))
      case frameTypes.execFailed:
        return this.#refuse(parseFailure(frame.payload))
      case frameTypes.exited:
        this.#hasExited = true
        this.stdin?.refuse()
        return this.#exited.resolve(parseExited(frame.payload))
      case frameTypes.stdout:
        return this.#receiveOutput(this.stdout, frame)
      case frameTypes.stderr:
        return this.#receiveOutput(this.stderr, frame)
      case frameTypes.credit:
        return this.stdin?.grant(parseCredit(frame.payload))
      case frameTypes.stdinFailed:
        return this.stdin?.refuse()
      default:
        throw new ProtocolError(`a frame of type ${frame.type} on an execution`)
    }
  }

  /** The session is over: whoever waits learns why. */
  fail(error: Error): void {
    this.#started.reject(error)
    this.#exited.reject(error)
    this.stdin?.destroy(error)
    this.stdout.destroy(error)
    this.stderr.destroy(error)
  }

  #refuse(failure: Failure): void {
    this.#hasExited = true
    this.#openOutputs = 0
    this.fail(new ExecutionRefused(failure))
  }

  #receiveOutput(stream: OutputStream, frame: Frame): void {
    if (frame.payload.length > 0) stream.receive(frame.payload, (frame.flags & flags.replay) !== 0)
    if ((frame.flags & flags.end) === 0) return
    this.#openOutputs -= 1
    stream.finish()
  }

  #sendInput(bytes: Buffer, isEnd: boolean): void {
    if (!this.#hasExited)
      this.#send(encodeFrame(frameTypes.stdin, this.#stream, bytes, isEnd ? flags.end : 0))
  }
}
