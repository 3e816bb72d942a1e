import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import type { ShimExecRequest } from '../guest/messages.ts'
import { signalTargets } from '../guest/protocol.ts'
import { ExecutionRefused, type RemoteExecution } from '../guest/remote-execution.ts'
import type { Session } from '../guest/session.ts'
import { readExitRecord } from '../shim/exit-file.ts'
import { shimFiles } from '../shim/launch.ts'
import { createId } from '../state/box-id.ts'
import { isActive } from '../state/box-status.ts'
import type { BoxConnection } from './box-connection.ts'
import type { BoxStarter } from './box-starter.ts'
import { execRequest } from './exec-request.ts'
import { Execution, refusedError } from './execution.ts'
import type { ExecOptions } from './options.ts'

const sigkill = 9

/** Runs commands in one box, which is started for them. */
export class BoxCommands {
  readonly #connection: BoxConnection
  readonly #starter: BoxStarter

  constructor(connection: BoxConnection, starter: BoxStarter) {
    this.#connection = connection
    this.#starter = starter
  }

  /** See `box.exec`. */
  async execute(command: string, args: readonly string[], options: ExecOptions): Promise<Execution> {
    const { request, session } = await this.#prepare(command, args, options)
    const remote = session.execute(request)
    if (options.stdin !== undefined && options.stdin !== 'null' && options.stdin !== 'pipe')
      remote.stdin?.end(options.stdin)
    return this.#follow(session, remote, { id: request.id, command, options })
  }

  /** See `box.executions.start`. */
  async startUnread(
    command: string,
    args: readonly string[],
    options: ExecOptions,
  ): Promise<{ readonly id: string; readonly pid: number }> {
    const { request, session } = await this.#prepare(command, args, options)
    try {
      return { id: request.id, ...(await session.start(request)) }
    } catch (error) {
      throw await this.#failure(command, error)
    }
  }

  /** What an execution is made of: the request, and the running box. */
  async #prepare(
    command: string,
    args: readonly string[],
    options: ExecOptions,
  ): Promise<{ request: ShimExecRequest; session: Session }> {
    options.signal?.throwIfAborted()
    const { signal, onProgress } = options
    const starting = { ...(signal && { signal }), ...(onProgress && { onProgress }) }
    const image = await this.#starter.image(starting)
    const request = execRequest(command, args, options, this.#connection.place.config, image)
    this.#checkExecutable(command)
    const session = await this.#starter.start({ ...starting, command })
    return { request: { ...request, id: createId(), detach: options.detach ?? false }, session }
  }

  async #follow(
    session: Session,
    remote: RemoteExecution,
    { id, command, options }: { id: string; command: string; options: ExecOptions },
  ): Promise<Execution> {
    const abort = (): void => remote.signal(sigkill, signalTargets.tree)
    options.signal?.addEventListener('abort', abort, { once: true })
    try {
      const { pid } = await remote.started
      const explain = (error: unknown): Promise<CofferError> => this.#explain(command, error)
      return new Execution({ id, pid, remote, session, options, explain })
    } catch (error) {
      if (options.signal?.aborted)
        throw new CofferError('aborted', `${command} was aborted before it ran`, {
          cause: options.signal.reason,
        })
      throw await this.#failure(command, error)
    } finally {
      options.signal?.removeEventListener('abort', abort)
    }
  }

  async #failure(command: string, error: unknown): Promise<CofferError> {
    if (error instanceof ExecutionRefused) return refusedError(command, error, this.#connection.place.label)
    return await this.#explain(command, error)
  }

  #explain(command: string, error: unknown): Promise<CofferError> {
    return this.#connection.explain(`cannot run ${command} in box ${this.#connection.place.label}`, error)
  }

  /** A main process that has ended did its job; running a command in its box afterwards must not do the job again. */
  #checkExecutable(command: string): void {
    const { directory, label } = this.#connection.place
    const row = this.#connection.row()
    if (isActive(row.status) || row.status === 'configured') return
    if (readExitRecord(join(directory, shimFiles.exit))?.cause !== 'main_exited') return
    throw new CofferError(
      'invalid_state',
      `cannot run ${command} in box ${label}: its main process has ended`,
      {
        hint: `Start the box again, which runs its main process again: coffer start ${label}`,
      },
    )
  }
}
