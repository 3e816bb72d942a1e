import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CofferError, isCofferError } from '../errors.ts'
import { ExecutionRefused } from '../guest/remote-execution.ts'
import { Session, SessionLost } from '../guest/session.ts'
import { ensureImage } from '../image/images.ts'
import { shimFiles } from '../shim/launch.ts'
import { createId } from '../state/box-id.ts'
import type { Home } from '../state/home.ts'
import { acquireLock, type Lock } from '../state/lock.ts'
import type { ProcessIdentity } from '../state/process-identity.ts'
import { isAlive } from '../state/process-identity.ts'
import type { BoxRow, Store } from '../state/store.ts'
import { packageVersion } from '../version.ts'
import { findComponents } from '../vm/components.ts'
import { decodeBoxConfig } from './box-config.ts'
import { boxInfo } from './box-info.ts'
import { crashError, readCrashReport } from './crash-report.ts'
import { execRequest, type ImageDefaults } from './exec-request.ts'
import { Execution, refusedError } from './execution.ts'
import { findShim } from './liveness.ts'
import type { BoxInfo, ExecOptions, StartOptions } from './options.ts'
import type { Output } from './output.ts'
import { isOrderly, stoppedState } from './reconcile.ts'
import { boxLockPath, removeBoxFiles } from './remove-box.ts'
import type { ShimProcess } from './shim-process.ts'
import type { SpareShim } from './spare-shim.ts'
import { type BoxPlace, startBox } from './start-box.ts'
import { checkInteger, checkText } from './validate.ts'

/** What a box needs of the runtime it came from. */
export type BoxContext = {
  readonly home: Home
  readonly store: Store
  /** Shims this runtime started: their hang-up ends the attached ones. */
  readonly shims: Map<string, ShimProcess>
  readonly spare: SpareShim
  checkOpen(): void
}

const defaultStopTimeoutMs = 10_000
/** A shim that was told to stop unmounts, powers off and tidies up in this time beyond the grace; then it is killed. */
const stopMarginMs = 8_000

/** One box: a record, a disk, and a VM while it runs. The same handle can stop it and start it again. */
export class Box {
  readonly id: string
  readonly name: string | undefined
  readonly #context: BoxContext
  readonly #place: BoxPlace
  #session: Promise<Session> | undefined
  #image: ImageDefaults | undefined

  /** Made by `runtime.create` and `runtime.get`. */
  constructor(context: BoxContext, row: BoxRow) {
    this.id = row.id
    this.name = row.name
    this.#context = context
    const directory = join(context.home.boxes, row.id)
    this.#place = {
      home: context.home,
      spare: context.spare,
      id: row.id,
      label: row.name ?? row.id,
      directory,
      config: decodeBoxConfig(row.id, row.config),
    }
  }

  /** Throws `not_found` when the box was removed. */
  async info(): Promise<BoxInfo> {
    return boxInfo(this.#context.home, this.#context.store, this.#row())
  }

  /** Starts the box; does nothing when it runs. Concurrent calls, also of other processes, share one start. */
  async start(options: StartOptions = {}): Promise<void> {
    await this.#connect(options)
  }

  /**
   * Shuts the box down: SIGTERM to its processes, `timeoutMs` (default 10 s) for them to end, then by force; 0 means at once.
   * Its disk is kept. Does nothing when it does not run.
   */
  async stop(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = checkInteger('timeoutMs', options.timeoutMs ?? defaultStopTimeoutMs, 0, 24 * 3600_000)
    this.#context.checkOpen()
    using _lock = await this.#lock()
    await this.stopLocked(timeoutMs)
  }

  /** `stop` for a caller that holds the box's lock. */
  async stopLocked(timeoutMs: number): Promise<void> {
    const shim = findShim(this.#place.directory, this.id)
    const session = this.#session
    if (shim !== undefined) await this.#end(shim, session, timeoutMs)
    this.#context.shims.get(this.id)?.[Symbol.dispose]()
    this.#context.shims.delete(this.id)
    this.#drop(session)
    const row = this.#context.store.findBox(this.id)
    if (row !== undefined && row.status !== 'configured')
      this.#context.store.updateState(this.id, stoppedState(row, this.#place.directory))
  }

  async restart(options: StartOptions & { readonly timeoutMs?: number } = {}): Promise<void> {
    await this.stop(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs })
    await this.start(options)
  }

  /**
   * Runs a program (no shell) and returns when it runs; starts the box if need be. Throws `execution_failed` with `details.kind`
   * when it cannot be run, `invalid_argument` for options.
   */
  async exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<Execution> {
    options.signal?.throwIfAborted()
    const request = execRequest(command, args, options, this.#place.config, await this.#imageDefaults())
    const session = await this.#connect(options.signal === undefined ? {} : { signal: options.signal })
    const remote = session.execute(request)
    const explain = (error: unknown): Promise<CofferError> =>
      this.#explain(`cannot run ${command} in box ${this.#place.label}`, error)
    if (typeof options.stdin === 'string' && (options.stdin === 'null' || options.stdin === 'pipe')) {
      // The caller writes, or nobody does.
    } else if (options.stdin !== undefined) remote.stdin?.end(options.stdin)
    try {
      const { pid } = await remote.started
      return new Execution(createId(), pid, remote, options, explain)
    } catch (error) {
      throw error instanceof ExecutionRefused ? refusedError(command, error) : await explain(error)
    }
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

  /** Stops the box, unless it is detached, and removes it if it is ephemeral. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#place.config.detach) return this.#drop(this.#session)
    using _lock = await this.#lock()
    await this.stopLocked(defaultStopTimeoutMs)
    if (this.#place.config.ephemeral) removeBoxFiles(this.#context, this.id)
  }

  #row(): BoxRow {
    this.#context.checkOpen()
    const row = this.#context.store.findBox(this.id)
    if (row === undefined) throw new CofferError('not_found', `box ${this.#place.label} was removed`)
    return row
  }

  #lock(signal?: AbortSignal): Promise<Lock> {
    return acquireLock(boxLockPath(this.#context.home, this.id), { signal })
  }

  async #imageDefaults(): Promise<ImageDefaults> {
    this.#image ??= await ensureImage(this.#context.home, this.#place.config.image, findComponents().busybox)
    return this.#image
  }

  async #connect(options: StartOptions): Promise<Session> {
    const known = await this.#session?.catch(() => undefined)
    if (known?.isOpen) return known
    const pending = this.#connectNow(options)
    this.#session = pending
    try {
      return await pending
    } catch (error) {
      if (this.#session === pending) this.#session = undefined
      throw error
    }
  }

  async #connectNow(options: StartOptions): Promise<Session> {
    this.#row()
    const running = await this.#connectRunning()
    if (running !== undefined) return running
    using _lock = await this.#lock(options.signal)
    // Another process may have started it while we waited.
    const started = await this.#connectRunning()
    return started ?? (await this.#startLocked(options))
  }

  async #connectRunning(): Promise<Session | undefined> {
    if (findShim(this.#place.directory, this.id) === undefined) return undefined
    try {
      return await Session.connect(join(this.#place.directory, shimFiles.socket), packageVersion())
    } catch {
      // It is about to listen, or about to end; under the box's lock it is one or the other.
      return undefined
    }
  }

  async #startLocked(options: StartOptions): Promise<Session> {
    const { store, shims } = this.#context
    try {
      this.#row()
      const { shim, session } = await startBox(this.#place, options)
      shim.unref()
      shims.get(this.id)?.[Symbol.dispose]()
      shims.set(this.id, shim)
      store.updateState(this.id, {
        status: 'running',
        startedAtMs: Date.now(),
        stoppedAtMs: undefined,
        reason: undefined,
      })
      return session
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
      if (!isCofferError(error, 'aborted'))
        store.updateState(this.id, {
          status: 'failed',
          startedAtMs: undefined,
          stoppedAtMs: Date.now(),
          reason,
        })
      throw error
    }
  }

  async #end(shim: ProcessIdentity, open: Promise<Session> | undefined, timeoutMs: number): Promise<void> {
    const session = (await open?.catch(() => undefined)) ?? (await this.#connectRunning())
    const asked = session?.request('stop', { graceMs: timeoutMs }).catch(() => {})
    const deadline = performance.now() + timeoutMs + stopMarginMs
    await Promise.race([asked, sleep(timeoutMs + stopMarginMs, undefined, { ref: false })])
    while (isAlive(shim)) {
      // Not our child: there is no event for its end. QEMU dies with it.
      if (session === undefined || performance.now() > deadline) process.kill(shim.pid, 'SIGKILL')
      await sleep(5)
    }
  }

  /** Closes a connection. One made since, for the next run of the box, stays. */
  #drop(session: Promise<Session> | undefined): void {
    if (this.#session === session) this.#session = undefined
    session?.then(
      open => open[Symbol.dispose](),
      () => {},
    )
  }

  /** The loss of the connection, as what became of the box. Other errors as they are. */
  async #explain(step: string, error: unknown): Promise<CofferError> {
    if (error instanceof CofferError) return error
    if (!(error instanceof SessionLost))
      return new CofferError('internal', `${step}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    if (!(await this.#hasEnded()))
      return new CofferError('engine_unavailable', `${step}: the connection to its shim was lost`, {
        hint: 'The box runs on; try again.',
        cause: error,
      })
    const report = readCrashReport(this.#place.directory)
    if (report.record !== undefined && isOrderly(report.record.cause))
      return new CofferError('stopped', `${step}: ${report.record.message}`, { cause: error })
    return crashError(step, report)
  }

  async #hasEnded(): Promise<boolean> {
    const patienceMs = 1_500
    const deadline = performance.now() + patienceMs
    while (findShim(this.#place.directory, this.id) !== undefined) {
      if (performance.now() > deadline) return false
      await sleep(10)
    }
    return true
  }
}
