import type { Readable, Writable } from 'node:stream'
import { CofferError } from '../errors.ts'
import type { Exited, Failure } from '../guest/messages.ts'
import { signalTargets } from '../guest/protocol.ts'
import type { RemoteExecution } from '../guest/remote-execution.ts'
import type { Session } from '../guest/session.ts'
import { type ExecutionEvent, executionEvents } from './execution-events.ts'
import type { ExecOptions, Result } from './options.ts'
import { collectOutput, type Output } from './output.ts'
import { signalName, signalNumber } from './signals.ts'
import { checkInteger } from './validate.ts'

/** What turns the loss of the connection into the error that says what became of the box. */
export type Explain = (error: unknown) => Promise<CofferError>

export type ExecutionParts = {
  readonly id: string
  readonly pid: number
  readonly remote: RemoteExecution
  readonly session: Session
  readonly options: ExecOptions
  readonly explain: Explain
}

const sigkill = 9

/** A process in a box: its streams, its end, and control over it. */
export class Execution {
  readonly id: string
  /** As seen inside the box. */
  readonly pid: number
  /** With `stdin: 'pipe'`. A write is done when the guest took its bytes; one to a process that is gone fails with EPIPE. */
  readonly stdin: Writable | undefined
  /** Streams of bytes. What is not read costs at most the window (256 KiB) and stops the writer in the box. */
  readonly stdout: Readable
  readonly stderr: Readable
  readonly #remote: RemoteExecution
  readonly #session: Session
  #hasLeft = false
  readonly #result: Promise<Result>
  readonly #maxOutputBytes: number | undefined
  readonly #explain: Explain

  /** Made by `box.exec` and `executions.attach`, which wait until it runs. */
  constructor({ id, pid, remote, session, options, explain }: ExecutionParts) {
    this.id = id
    this.pid = pid
    this.#remote = remote
    this.#session = session
    this.#maxOutputBytes = options.maxOutputBytes
    this.#explain = explain
    this.stdout = remote.stdout
    this.stderr = remote.stderr
    this.stdin = options.stdin === 'pipe' ? remote.stdin : undefined
    this.#result = this.#follow(options.signal, explain)
    this.#result.catch(() => {})
  }

  /**
   * How the process ended; the answer is kept, any number of callers may wait. Rejects with `aborted` when the signal
   * of the options ended it, with `stopped` or `engine_unavailable` when its box ended first.
   */
  wait(): Promise<Result> {
    return this.#result
  }

  /** Reads both streams to their end. Rejects as `wait` does, and with `resource_exhausted` above `maxOutputBytes`. */
  output(): Promise<Output> {
    return collectOutput(this, this.#explain, this.#maxOutputBytes)
  }

  /**
   * What happens, in its order: `started`, output as it comes, `exited`. Reads both streams. An end without `exited` is an error,
   * as `wait` rejects.
   */
  events(): AsyncIterable<ExecutionEvent> {
    return executionEvents(this, this.#explain)
  }

  /** Leaves the process running and ends the streams here; `box.executions.attach` comes back to it. `wait` then rejects with `aborted`. */
  async detach(): Promise<void> {
    this.#hasLeft = true
    this.#session.leave(this.#remote)
  }

  /** SIGKILL to the process group. A process that is gone is no error. */
  async kill(): Promise<void> {
    await this.signal(sigkill)
  }

  /** Sends a signal, by number or name, to the process group. Throws `invalid_argument`. */
  async signal(signal: number | string): Promise<void> {
    this.#remote.signal(signalNumber(signal), signalTargets.group)
  }

  /** SIGKILL to every process the execution left, also after setsid or a double fork. */
  async killTree(): Promise<void> {
    this.#remote.signal(sigkill, signalTargets.tree)
  }

  /** Tells the terminal its size. Without a terminal it has no effect. */
  async resize(size: { readonly rows: number; readonly cols: number }): Promise<void> {
    this.#remote.resize(
      checkInteger('rows', size.rows, 1, 0xffff),
      checkInteger('cols', size.cols, 1, 0xffff),
    )
  }

  async #follow(signal: AbortSignal | undefined, explain: Explain): Promise<Result> {
    const abort = (): void => void this.killTree()
    if (signal?.aborted) abort()
    signal?.addEventListener('abort', abort, { once: true })
    try {
      const exited = await this.#remote.exited
      if (signal?.aborted)
        throw new CofferError('aborted', 'the execution was aborted', { cause: signal.reason })
      return resultOf(exited)
    } catch (error) {
      throw this.#hasLeft
        ? new CofferError('aborted', 'this client left the execution, which runs on')
        : await explain(error)
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }
}

/** A command that could not be run, as an error with `details.kind` and `details.errno`. */
export function refusedError(
  command: string,
  { failure }: { readonly failure: Failure },
  box?: string,
): CofferError {
  const { kind, stage, errno, message } = failure
  if (kind === 'invalid_state' && stage === 'shim')
    return new CofferError('invalid_state', `cannot run ${command} in box ${box}: ${message}`, {
      hint: 'A paused box goes on with `coffer unpause`; one that stops can be started again.',
    })
  return new CofferError('execution_failed', `cannot run ${command}: ${message}`, {
    hint: refusalHints[kind],
    details: { kind, stage, errno },
  })
}

const refusalHints: Readonly<Partial<Record<Failure['kind'], string>>> = {
  not_found: 'The command is not in the image, or not in PATH.',
  not_executable: 'It is a directory, or lacks the permission to be executed.',
  bad_interpreter: 'The file is there, but what its first line or its ELF header names to run it is not.',
  bad_cwd: 'Create the working directory first, or name another.',
  bad_user: 'Names are looked up in the box’s own /etc/passwd and /etc/group; a number needs no entry.',
  bad_argument:
    'Linux bounds one argument at 128 KiB and all together at 2 MiB; pass large data on standard input.',
  resource_limit: 'The box has as many processes as it may.',
  out_of_memory: 'Give the box more memory.',
}

/** The agent's word for the end, as users see it. */
export function resultOf(exited: Exited): Result {
  return {
    exitCode: exited.code,
    ok: exited.code === 0,
    signal: exited.code < 0 ? signalName(-exited.code) : undefined,
    timedOut: exited.timedOut,
    outOfMemory: exited.outOfMemory,
    durationMs: exited.durationMs,
  }
}
