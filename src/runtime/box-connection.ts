import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CofferError, isCofferError, systemErrorCode } from '../errors.ts'
import { ExecutionRefused } from '../guest/remote-execution.ts'
import { Session, SessionLost } from '../guest/session.ts'
import type { ImageContext } from '../image/find.ts'
import { crashError, readCrashReport } from '../shim/crash-report.ts'
import { isOrderly } from '../shim/exit-file.ts'
import { shimFiles } from '../shim/launch.ts'
import { parseRestartRecord } from '../shim/restart-policy.ts'
import { isActive } from '../state/box-status.ts'
import { faultPoint } from '../state/fault-point.ts'
import type { Home } from '../state/home.ts'
import { acquireLock, type Lock } from '../state/lock.ts'
import { isAlive, type ProcessIdentity } from '../state/process-identity.ts'
import type { BoxRow, Store } from '../state/store.ts'
import { packageVersion } from '../version.ts'
import { findShim } from './liveness.ts'
import { reconcile } from './reconcile.ts'
import { boxLockPath } from './remove-box.ts'
import type { ShimProcess } from './shim-process.ts'
import type { SpareShim } from './spare-shim.ts'
import { type BoxPlace, type Starting, startBox } from './start-box.ts'

/** What a box needs of the runtime it came from. */
export type BoxContext = {
  readonly home: Home
  readonly store: Store
  readonly images: ImageContext
  /** Shims this runtime started: their hang-up ends the attached ones. */
  readonly shims: Map<string, ShimProcess>
  readonly spare: SpareShim
  /** Open connections of this runtime's boxes, which its shutdown closes. */
  readonly sessions: Set<Session>
  checkOpen(): void
}

/** A shim that was told to stop unmounts, powers off and tidies up in this time beyond the grace; then it is killed. */
const stopMarginMs = 8_000

/** The way from a handle to the running box: finds it, starts it, ends it, and says what became of it. */
export class BoxConnection {
  readonly place: BoxPlace
  readonly #context: BoxContext
  #session: Promise<Session> | undefined

  constructor(context: BoxContext, place: BoxPlace) {
    this.#context = context
    this.place = place
  }

  /** The record as it is now. Throws `not_found` when the box was removed. */
  row(): BoxRow {
    const { home, store } = this.#context
    const row = store.findBox(this.place.id)
    if (row === undefined) throw new CofferError('not_found', `box ${this.place.label} was removed`)
    return reconcile(home, store, row)
  }

  lock(signal?: AbortSignal): Promise<Lock> {
    return acquireLock(boxLockPath(this.#context.home, this.place.id), { signal })
  }

  /** Whether it has a VM. A box that was removed has none. */
  get isActive(): boolean {
    const { home, store } = this.#context
    const row = store.findBox(this.place.id)
    return row !== undefined && isActive(reconcile(home, store, row).status)
  }

  /** A session with the running box, which is started if need be. Concurrent calls share one. */
  async connect(options: Starting): Promise<Session> {
    const known = await this.#session?.catch(() => undefined)
    if (known?.isOpen) return known
    const pending = this.#connectNow(options)
    this.#session = pending
    try {
      const session = await pending
      this.#register(session)
      return session
    } catch (error) {
      if (this.#session === pending) this.#session = undefined
      throw error
    }
  }

  /** A session with the running box. Throws `invalid_state` when it does not run. */
  async connectRunning(purpose: string): Promise<Session> {
    const session = await this.connectIfRunning()
    if (session !== undefined) return session
    throw new CofferError('invalid_state', `cannot ${purpose} box ${this.place.label}: it is not running`, {
      hint: `Start it first: coffer start ${this.place.label}`,
    })
  }

  /** A session with the box if it runs; it is not started. */
  async connectIfRunning(): Promise<Session | undefined> {
    const known = await this.#session?.catch(() => undefined)
    if (known?.isOpen) return known
    const session = await this.#tryConnect()
    if (session !== undefined) {
      this.#session = Promise.resolve(session)
      this.#register(session)
    }
    return session
  }

  /** Ends the box, if it runs, and keeps it from being restarted; the caller holds its lock. */
  async stopLocked(timeoutMs: number): Promise<void> {
    const { home, store, shims } = this.#context
    const { id, directory } = this.place
    const shim = findShim(directory, id)
    const session = this.#session
    if (shim !== undefined) {
      faultPoint('stop: begun')
      await this.#end(shim, session, timeoutMs)
      faultPoint('stop: shim ended')
    }
    shims.get(id)?.[Symbol.dispose]()
    shims.delete(id)
    this.drop(session)
    const found = store.findBox(id)
    if (found === undefined) return
    // What the policy of a box wants whose shim had to be killed is planned now: a user's stop has the last word.
    const row = reconcile(home, store, found)
    const { nextAtMs, ...restarts } = parseRestartRecord(row.restart) ?? {}
    if (nextAtMs !== undefined) store.setRestart(id, JSON.stringify(restarts))
  }

  /** Waits for the end of a box that is about to end. */
  async whenEnded(signal?: AbortSignal): Promise<void> {
    while (this.isActive) await sleep(10, undefined, signal === undefined ? {} : { signal })
    this.drop()
  }

  /** Closes a connection. One made since, for the next run of the box, stays. */
  drop(session: Promise<Session> | undefined = this.#session): void {
    if (this.#session === session) this.#session = undefined
    session?.then(
      open => open[Symbol.dispose](),
      () => {},
    )
  }

  /** What a request failed with, or the loss of the connection, as what became of the box. Coffer's errors as they are. */
  async explain(step: string, error: unknown): Promise<CofferError> {
    if (error instanceof CofferError) return error
    if (error instanceof ExecutionRefused && error.failure.kind === 'invalid_state')
      return new CofferError('invalid_state', `${step}: ${error.message}`, {
        hint: 'A paused box goes on with `coffer unpause`.',
        cause: error,
      })
    if (error instanceof ExecutionRefused && this.isActive)
      return new CofferError('engine_unavailable', `${step}: ${error.message}`, { cause: error })
    if (!(error instanceof SessionLost || error instanceof ExecutionRefused))
      return new CofferError('internal', `${step}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    if (!(await this.#hasEnded()))
      return new CofferError('engine_unavailable', `${step}: the connection to its shim was lost`, {
        hint: 'The box runs on; try again.',
        cause: error,
      })
    const report = readCrashReport(this.place.directory)
    if (report.record !== undefined && isOrderly(report.record.cause))
      return new CofferError('stopped', `${step}: ${report.record.message}`, { cause: error })
    if (report.record === undefined && this.#context.store.findBox(this.place.id) === undefined)
      return new CofferError('not_found', `${step}: the box was removed`, { cause: error })
    return crashError(step, report)
  }

  #register(session: Session): void {
    this.#context.sessions.add(session)
    void session.closed.then(() => this.#context.sessions.delete(session))
  }

  async #connectNow(options: Starting): Promise<Session> {
    this.#context.checkOpen()
    this.row()
    const running = await this.#tryConnect()
    if (running !== undefined) return running
    using _lock = await this.lock(options.signal)
    // Another process may have started it while we waited.
    const started = await this.#tryConnect()
    return started ?? (await this.#startLocked(options))
  }

  async #tryConnect(): Promise<Session | undefined> {
    if (findShim(this.place.directory, this.place.id) === undefined) return undefined
    try {
      return await Session.connect(join(this.place.directory, shimFiles.socket), packageVersion())
    } catch {
      // It is about to listen, or about to end; under the box's lock it is one or the other.
      return undefined
    }
  }

  async #startLocked(options: Starting): Promise<Session> {
    const { store, shims } = this.#context
    const { id, name, directory } = this.place
    const { restart } = this.row()
    const { restarts } = options
    if (restarts !== undefined && parseRestartRecord(restart)?.nextAtMs === undefined)
      throw new CofferError('stopped', `box ${this.place.label} was stopped before its policy started it`)
    // A shim that cannot be talked to waits to start the box again, or is about to: that is done here, and now.
    const waiting = findShim(directory, id)
    if (waiting !== undefined) await this.#end(waiting, undefined, 0)
    store.addEvent({ id, name }, 'starting')
    // What a policy wants is due until it is done: who does it may die over it.
    store.setRestart(id, restarts && JSON.stringify({ ...restarts, nextAtMs: Date.now() }))
    faultPoint('start: begun')
    try {
      const { shim, session } = await startBox(this.place, options)
      faultPoint('start: ready')
      await this.#checkStillOpen(shim)
      shim.unref()
      shims.get(id)?.[Symbol.dispose]()
      shims.set(id, shim)
      store.transition(id, {
        to: 'running',
        from: ['configured', 'stopped', 'failed', 'unknown'],
        startedAtMs: Date.now(),
      })
      if (restarts !== undefined) store.setRestart(id, JSON.stringify(restarts))
      faultPoint('start: recorded')
      shim.noted()
      faultPoint('start: noted')
      return session
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
      if (!isCofferError(error, 'aborted') && !isCofferError(error, 'stopped'))
        store.transition(id, { to: 'failed', stoppedAtMs: Date.now(), reason, cause: 'not_started' })
      if (restarts !== undefined) store.setRestart(id, JSON.stringify(restarts))
      throw error
    }
  }

  /** A runtime that was shut down during a start would not end the box any more. */
  async #checkStillOpen(shim: ShimProcess): Promise<void> {
    try {
      this.#context.checkOpen()
    } catch (error) {
      // A detached one runs on: it learns that nobody is left to tell it more.
      if (this.place.config.detach) shim[Symbol.dispose]()
      else await shim.end()
      throw error
    }
  }

  async #end(shim: ProcessIdentity, open: Promise<Session> | undefined, timeoutMs: number): Promise<void> {
    const known = await open?.catch(() => undefined)
    const session = known?.isOpen ? known : await this.#tryConnect()
    const patienceMs = timeoutMs + stopMarginMs
    const deadline = performance.now() + patienceMs
    const asked = session?.request('stop', { graceMs: timeoutMs })
    const isHeard = await Promise.race([
      asked?.then(
        () => true,
        () => false,
      ),
      sleep(patienceMs, true, { ref: false }),
    ])
    // It is between two runs, or was when the request came: the signal keeps it from beginning another.
    if (!isHeard) signal(shim, 'SIGTERM')
    while (isAlive(shim)) {
      // Not our child: there is no event for its end. QEMU dies with it.
      if (performance.now() > deadline) signal(shim, 'SIGKILL')
      await sleep(5)
    }
    if (session !== known) session?.[Symbol.dispose]()
  }

  async #hasEnded(): Promise<boolean> {
    const patienceMs = 1_500
    const deadline = performance.now() + patienceMs
    while (this.isActive) {
      if (performance.now() > deadline) return false
      await sleep(10)
    }
    return true
  }
}

function signal(shim: ProcessIdentity, name: NodeJS.Signals): void {
  try {
    if (isAlive(shim)) process.kill(shim.pid, name)
  } catch (error) {
    // It ended between the look and the signal.
    if (systemErrorCode(error) !== 'ESRCH') throw error
  }
}
