import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { faultPoint } from '../state/fault-point.ts'
import { removeLock } from '../state/lock.ts'
import type { Vmm } from '../vm/vmm.ts'
import { BoxRun, type Timings } from './box-run.ts'
import { endState } from './end-state.ts'
import type { ExitRecord } from './exit-file.ts'
import { type Launch, shimFiles } from './launch.ts'
import { Records } from './records.ts'
import { planRestart, type RestartRecord } from './restart-policy.ts'
import { spawnRestored } from './restore.ts'

/** The life of a box in its shim: a first run, those its restart policy adds, and what remains to be done after the last. */
export class Supervisor {
  readonly #launch: Launch
  readonly #directory: string
  readonly #records: Records
  /** Whether who started the box has recorded that it runs: yes when it says so, no when it goes away. */
  readonly #noted: Promise<boolean>
  readonly #wake = new AbortController()
  #run: BoxRun
  #restarts: RestartRecord | undefined

  private constructor(launch: Launch, run: BoxRun, records: Records, noted: Promise<boolean>) {
    this.#launch = launch
    this.#directory = launch.directory
    this.#run = run
    this.#records = records
    this.#noted = noted
    this.#restarts = launch.restarts
  }

  /** Takes over a VMM that was just spawned, and takes clients. Throws when it cannot; the VMM is then gone. */
  static async begin(launch: Launch, vmm: Vmm, noted: Promise<boolean>): Promise<Supervisor> {
    const records = new Records(launch.database, { id: launch.boxId, name: launch.name })
    // This first time, who asked for the start records that the box runs.
    const run = await BoxRun.begin(launch, launch.directory, { records, onContainer: () => {} }, vmm)
    return new Supervisor(launch, run, records, noted)
  }

  /** Resolves when the box can be used. Throws when its first run came to nothing; its record says why. */
  async ready(): Promise<Timings> {
    try {
      return await this.#run.ready()
    } catch (error) {
      this.#run[Symbol.dispose]()
      throw error
    }
  }

  /** The starter of a box that outlives it went away. */
  async leftAlone(): Promise<void> {
    this.#run.startMain()
    if (!(await this.#noted)) await this.#recordRunning()
  }

  get isReady(): boolean {
    return this.#run.isReady
  }

  /** Ends the box for good. */
  end(cause: 'orphaned' | 'stopped'): void {
    this.#wake.abort()
    void this.#run.orphan(cause)
  }

  /** Resolves when the box has ended for good and everything about it is recorded. */
  async follow(): Promise<void> {
    for (;;) {
      const record = await this.#run.ended()
      await this.#noted
      const plan =
        this.#wake.signal.aborted || this.#run.isStopRequested
          ? undefined
          : planRestart(this.#launch.policy.restart, {
              record,
              ranMs: this.#run.ranMs,
              before: this.#restarts,
            })
      await this.#recordEnd(record, plan)
      faultPoint('shim: end recorded')
      this.#run[Symbol.dispose]()
      if (plan === undefined || !(await this.#wait(plan.delayMs))) break
      await this.#startAgain(record, plan.count)
    }
    if (this.#launch.policy.ephemeral) await this.#remove()
    await this.#records.flush()
  }

  async #startAgain(ended: ExitRecord, count: number): Promise<void> {
    this.#restarts = { count, cause: ended.cause, lastAtMs: Date.now() }
    // Due until it is done: this process may die over it.
    this.#records.restarts({ ...this.#restarts, nextAtMs: Date.now() })
    this.#records.event('starting', { restart: count })
    await this.#records.flush()
    faultPoint('shim: restart begun')
    rmSync(join(this.#directory, shimFiles.exit), { force: true })
    // Never from a mounted template: it knows the disk as it was before the first run.
    const vmm = await spawnRestored(this.#launch, this.#launch.bootTemplate)
    const main = this.#launch.main
    const launch =
      main === undefined ? this.#launch : { ...this.#launch, main: { ...main, waitForAttach: false } }
    const onContainer = (): void => void this.#recordRunning()
    this.#run = await BoxRun.begin(launch, this.#directory, { records: this.#records, onContainer }, vmm)
    // A stop that came while the VMM was spawned found the run before.
    if (this.#wake.signal.aborted) void this.#run.orphan('stopped')
    try {
      await this.#run.ready()
    } catch {
      // Its exit record tells why, as that of a run that was ready: the loop looks at it.
    }
  }

  /** False when the box was ended meanwhile. */
  async #wait(delayMs: number): Promise<boolean> {
    try {
      await sleep(delayMs, undefined, { signal: this.#wake.signal })
      return true
    } catch {
      this.#records.restarts(this.#restarts && { ...this.#restarts, nextAtMs: undefined })
      await this.#records.transition({
        to: 'stopped',
        from: ['failed'],
        reason: 'the box was stopped',
        cause: 'stopped',
      })
      return false
    }
  }

  #recordRunning(): Promise<void> {
    this.#records.restarts(this.#restarts)
    return this.#records.transition({
      to: 'running',
      from: ['configured', 'stopped', 'failed'],
      startedAtMs: Date.now(),
    })
  }

  async #recordEnd(record: ExitRecord, plan: { readonly delayMs: number } | undefined): Promise<void> {
    if (plan !== undefined || this.#restarts !== undefined)
      this.#records.restarts({
        count: this.#restarts?.count ?? 0,
        cause: record.cause,
        lastAtMs: this.#restarts?.lastAtMs,
        nextAtMs: plan === undefined ? undefined : Date.now() + plan.delayMs,
      })
    await this.#records.transition(endState(this.#directory))
  }

  async #remove(): Promise<void> {
    await this.#records.remove()
    faultPoint('shim: record removed')
    rmSync(this.#directory, { recursive: true, force: true })
    faultPoint('shim: directory removed')
    removeLock(this.#launch.lock)
  }
}
