import { CofferError } from '../errors.ts'
import type { CborMap } from '../guest/cbor.ts'
import { boolean, integer, isMap, parseExitedMap, text } from '../guest/parse.ts'
import { ExecutionRefused } from '../guest/remote-execution.ts'
import type { Session } from '../guest/session.ts'
import type { BoxCommands } from './box-commands.ts'
import type { BoxConnection } from './box-connection.ts'
import { Execution, refusedError, resultOf } from './execution.ts'
import type { ExecOptions, ExecutionInfo } from './options.ts'
import { signalNumber } from './signals.ts'

/** The executions of a running box, also those of other clients and of clients that are gone. */
export class BoxExecutions {
  readonly #connection: BoxConnection
  readonly #commands: BoxCommands

  constructor(connection: BoxConnection, commands: BoxCommands) {
    this.#connection = connection
    this.#commands = commands
  }

  /**
   * Runs a program that nobody reads yet; it runs on when this client goes, and who attaches gets its last 256 KiB and then what comes. Options
   * and errors are those of `box.exec`.
   */
  start(
    command: string,
    args: readonly string[] = [],
    options: ExecOptions = {},
  ): Promise<{ readonly id: string; readonly pid: number }> {
    return this.#commands.startUnread(command, args, options)
  }

  /** Oldest first. Throws `invalid_state` when the box does not run. */
  async list(): Promise<ExecutionInfo[]> {
    const session = await this.#connection.connectRunning('list the executions of')
    const { executions } = await session.request('executions')
    return Array.isArray(executions) ? executions.filter(isMap).map(infoOf) : []
  }

  /** Throws `not_found`. */
  async get(id: string): Promise<ExecutionInfo> {
    const info = (await this.list()).find(execution => execution.id === id)
    if (info === undefined) throw this.#notFound(id)
    return info
  }

  /**
   * Joins an execution: first what was missed while nobody read (the last 256 KiB), then what comes. Throws `not_found`, and `invalid_state`
   * when somebody else is attached.
   */
  async attach(id: string): Promise<Execution> {
    return this.attachOn(await this.#connection.connectRunning('attach to'), id)
  }

  /** `attach` over a session that is there. */
  async attachOn(session: Session, id: string): Promise<Execution> {
    const remote = session.attach(id)
    const { label } = this.#connection.place
    try {
      const { pid } = await remote.started
      const explain = (error: unknown): Promise<CofferError> =>
        this.#connection.explain(`lost execution ${id} of box ${label}`, error)
      return new Execution({ id, pid, remote, session, options: { stdin: 'pipe' }, explain })
    } catch (error) {
      if (!(error instanceof ExecutionRefused))
        throw await this.#connection.explain(`cannot attach to box ${label}`, error)
      const { kind, message, stage } = error.failure
      if (stage === 'shim' && kind === 'not_found') throw this.#notFound(id)
      if (kind === 'invalid_state')
        throw new CofferError('invalid_state', `cannot attach to box ${label}: ${message}`, {
          hint: 'One client at a time reads an execution; it can leave with its detach keys.',
        })
      throw refusedError(id, error)
    }
  }

  /** Sends a signal, default SIGKILL, to the execution's process group. Throws `not_found`. */
  async kill(id: string, signal: number | string = 'SIGKILL'): Promise<void> {
    const number = signalNumber(signal)
    const session = await this.#connection.connectRunning('signal a process of')
    try {
      await session.request('kill', { id, signal: number })
    } catch (error) {
      throw error instanceof ExecutionRefused
        ? this.#notFound(id)
        : await this.#connection.explain(`cannot signal execution ${id}`, error)
    }
  }

  #notFound(id: string): CofferError {
    const { label } = this.#connection.place
    return new CofferError('not_found', `box ${label} has no execution ${id}`, {
      hint: 'Executions that ended are kept for 5 minutes if they were detached.',
      details: { id },
    })
  }
}

function infoOf(map: CborMap): ExecutionInfo {
  const { command, pid, exited } = map
  return {
    id: text(map, 'id'),
    command: Array.isArray(command) ? command.map(String) : [],
    pid: typeof pid === 'number' ? pid : undefined,
    startedAt: new Date(integer(map, 'startedAtMs', 0, Number.MAX_SAFE_INTEGER)),
    attached: boolean(map, 'attached'),
    tty: boolean(map, 'tty'),
    result: isMap(exited) ? resultOf(parseExitedMap(exited)) : undefined,
  }
}
