import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import type { ImageInfo } from '../image/describe.ts'
import { shimFiles } from '../shim/launch.ts'
import type { RestartRecord } from '../shim/restart-policy.ts'
import type { BoxRow } from '../state/store.ts'
import { BoxCommands } from './box-commands.ts'
import { decodeBoxConfig } from './box-config.ts'
import { BoxConnection, type BoxContext } from './box-connection.ts'
import { boxInfo } from './box-info.ts'
import { BoxStarter } from './box-starter.ts'
import { waitForLog, waitForPort, waitForStop, waitUntilHealthy } from './box-waits.ts'
import type { CommitOptions } from './commit-box.ts'
import type { Execution } from './execution.ts'
import { BoxExecutions } from './executions.ts'
import { readLogs } from './logs.ts'
import { commandLine } from './main-process.ts'
import type {
  BoxInfo,
  BoxStop,
  ExecOptions,
  LogEntry,
  LogOptions,
  ProcessInfo,
  StartOptions,
  WaitOptions,
} from './options.ts'
import type { Output } from './output.ts'
import { switchBox } from './pause-box.ts'
import { parseProcesses } from './processes.ts'
import { removeBoxFiles } from './remove-box.ts'
import { checkInteger, checkText } from './validate.ts'

const defaultStopTimeoutMs = 10_000

/** One box: a record, a disk, and a VM while it runs. The same handle can stop it and start it again. */
export class Box {
  readonly id: string
  readonly name: string | undefined
  /** What runs in the box, whoever started it, and what ended not long ago. */
  readonly executions: BoxExecutions
  readonly #context: BoxContext
  readonly #connection: BoxConnection
  readonly #starter: BoxStarter
  readonly #commands: BoxCommands

  /** Made by `runtime.create` and `runtime.get`. */
  constructor(context: BoxContext, row: BoxRow) {
    this.id = row.id
    this.name = row.name
    this.#context = context
    this.#connection = new BoxConnection(context, {
      home: context.home,
      spare: context.spare,
      id: row.id,
      name: row.name,
      label: row.name ?? row.id,
      directory: join(context.home.boxes, row.id),
      config: decodeBoxConfig(row.id, row.config),
    })
    this.#starter = new BoxStarter(context, this.#connection)
    this.#commands = new BoxCommands(this.#connection, this.#starter)
    this.executions = new BoxExecutions(this.#connection, this.#commands)
  }

  /** Throws `not_found` when the box was removed. */
  async info(): Promise<BoxInfo> {
    return boxInfo(this.#context.home, this.#context.store, this.#connection.row())
  }

  /**
   * Starts the box; does nothing when it runs. Concurrent calls, also of other processes, share one start. Throws `execution_failed`
   * when it has a main process that cannot be run.
   */
  async start(options: StartOptions = {}): Promise<void> {
    this.#context.checkOpen()
    const { status } = this.#connection.row()
    // What still runs is not what is asked for.
    if (status === 'stopping') await this.#connection.whenEnded(options.signal)
    if (status === 'paused')
      throw new CofferError(
        'invalid_state',
        `cannot start box ${this.#connection.place.label}: it is paused`,
        {
          hint: `Let it go on: coffer unpause ${this.#connection.place.label}`,
        },
      )
    await this.#starter.start(options)
  }

  /**
   * Shuts the box down: SIGTERM to its processes, `timeoutMs` (default 10 s) for them to end, then by force; 0 means at once.
   * Its disk is kept. Does nothing when it does not run.
   */
  async stop(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = checkInteger('timeoutMs', options.timeoutMs ?? defaultStopTimeoutMs, 0, 24 * 3600_000)
    this.#context.checkOpen()
    this.#connection.row()
    using _lock = await this.#connection.lock()
    await this.stopLocked(timeoutMs)
  }

  /** `stop` for a caller that holds the box's lock. */
  async stopLocked(timeoutMs: number): Promise<void> {
    await this.#connection.stopLocked(timeoutMs)
  }

  /** The start that a restart policy wants and no shim lives to do. */
  async startByPolicy(restarts: RestartRecord): Promise<void> {
    await this.#starter.start({ restarts })
  }

  async restart(options: StartOptions & { readonly timeoutMs?: number } = {}): Promise<void> {
    await this.stop(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs })
    await this.start(options)
  }

  /**
   * Runs a program (no shell) and returns when it runs; starts the box if need be. Throws `execution_failed` with `details.kind`
   * when it cannot be run, `invalid_argument` for options, `invalid_state` when the box has a main process that has ended.
   */
  async exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<Execution> {
    return this.#commands.execute(command, args, options)
  }

  /** `exec`, collected: waits for the end and returns all output. A non-zero exit is a result, not an error. */
  async run(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<Output> {
    const execution = await this.exec(command, args, options)
    return execution.output()
  }

  /** `run` of `sh -c script`. */
  async shell(script: string, options: ExecOptions = {}): Promise<Output> {
    return this.run('sh', ['-c', checkText('script', script, 1024 * 1024)], options)
  }

  /**
   * The words that `docker run IMAGE WORDS…` would run: the entrypoint and `words`, or the image's command without any. Pulls the image if need
   * be. Empty if neither box nor image says anything.
   */
  async commandLine(words: readonly string[] = [], options: StartOptions = {}): Promise<string[]> {
    this.#context.checkOpen()
    const { config } = this.#connection.place
    return commandLine(config, await this.#starter.image(options), words.length === 0 ? undefined : words)
  }

  /**
   * Joins the main process: starts the box if it does not run, and then misses nothing; else what was missed (one window), then what comes.
   * Throws `invalid_state` when the box has none, or somebody is attached.
   */
  async attach(options: StartOptions = {}): Promise<Execution> {
    if (
      this.#connection.place.config.command === undefined &&
      this.#connection.place.config.entrypoint === undefined
    )
      throw new CofferError(
        'invalid_state',
        `cannot attach to box ${this.#connection.place.label}: it has no main process`,
        {
          hint: 'Create the box with a command, or attach to one of its executions.',
        },
      )
    const session = await this.#starter.start(options, { waitForAttach: true })
    return this.executions.attachOn(session, 'main')
  }

  /** Waits until the box stops, also if its policy then starts it again. Resolves at once when it does not run. */
  async wait(): Promise<BoxStop> {
    return waitForStop(this.#context, this.#connection)
  }

  /**
   * Freezes the box: its processes and file systems first, then its processors. Does nothing when it is paused. Its memory stays on the host.
   * Throws `invalid_state` when it does not run, `engine_unavailable` when the guest does not freeze within 5 s.
   */
  async pause(): Promise<void> {
    this.#context.checkOpen()
    await switchBox(this.#connection, 'pause')
  }

  /** Lets a paused box go on, its clock set right. Does nothing when it runs. Throws `invalid_state` when it does neither. */
  async resume(): Promise<void> {
    this.#context.checkOpen()
    await switchBox(this.#connection, 'resume')
  }

  /** Throws `timeout`, `aborted`, `stopped` when the box ends meanwhile, `invalid_state` when it has no health check. */
  async waitUntilHealthy(options: WaitOptions = {}): Promise<void> {
    await waitUntilHealthy(this.#context, this.#connection, options)
  }

  /** Waits until something in the box accepts TCP connections on its loopback address. Throws as `waitUntilHealthy`. */
  async waitForPort(port: number, options: WaitOptions = {}): Promise<void> {
    await waitForPort(this.#context, this.#connection, port, options)
  }

  /** Waits for a line of the main process that holds or matches `pattern`, also one it wrote since its last start. Throws as `waitUntilHealthy`. */
  async waitForLog(pattern: string | RegExp, options: WaitOptions = {}): Promise<string> {
    const begun = this.#context.store.events.lastStart(this.id)?.atMs
    const since = begun === undefined ? {} : { since: new Date(begun) }
    return waitForLog(this.#connection.place.label, pattern, options, signal =>
      this.logs({ follow: true, signal, ...since }),
    )
  }

  /** The processes inside. Throws `invalid_state` when the box does not run. */
  async top(): Promise<ProcessInfo[]> {
    const session = await this.#connection.connectRunning('list the processes of')
    try {
      return parseProcesses(await session.request('top'))
    } catch (error) {
      throw await this.#connection.explain(
        `cannot list the processes of box ${this.#connection.place.label}`,
        error,
      )
    }
  }

  /** Makes an image of the box, as it is now: see `commitBox`. Without a name, only its digest names it. */
  async commit(name?: string, options: CommitOptions = {}): Promise<ImageInfo> {
    this.#context.checkOpen()
    const image = await this.#starter.image(options)
    const { commitBox } = await import('./commit-box.ts')
    return commitBox({ context: this.#context, connection: this.#connection, image, name, options })
  }

  /** What the main process wrote, oldest first, also after the box stopped. At most the last 40 MiB are kept. */
  logs(options: LogOptions = {}): AsyncIterable<LogEntry> {
    const path = join(this.#connection.place.directory, shimFiles.output)
    return readLogs(path, options, () => this.#connection.isActive)
  }

  /** Stops the box, unless it is detached, and removes it if it is ephemeral. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { detach, ephemeral } = this.#connection.place.config
    if (detach) return this.#connection.drop()
    using _lock = await this.#connection.lock()
    await this.stopLocked(defaultStopTimeoutMs)
    if (ephemeral) removeBoxFiles(this.#context, this.id)
  }
}
