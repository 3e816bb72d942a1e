import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { AgentLink } from '../guest/agent-link.ts'
import type { ProtocolError } from '../guest/frame.ts'
import type { Failure } from '../guest/messages.ts'
import { protocolVersion } from '../guest/protocol.ts'
import { faultPoint } from '../state/fault-point.ts'
import type { Transition } from '../state/store.ts'
import type { Vmm, VmmExit } from '../vm/vmm.ts'
import { carryOut } from './box-requests.ts'
import {
  askedEnding,
  type Ending,
  failedEnding,
  mainEnding,
  mainFailedEnding,
  unaskedEnding,
  VmDied,
} from './ending.ts'
import type { ExecutionEntry } from './execution-entry.ts'
import { type ExitCause, type ExitRecord, writeExitRecord } from './exit-file.ts'
import { healthCheck } from './health-check.ts'
import { type Launch, shimFiles } from './launch.ts'
import { listen } from './listen.ts'
import { MainRun, mainId } from './main-run.ts'
import type { Records } from './records.ts'
import { Refusal, Relay } from './relay.ts'
import { RunMachine } from './run-machine.ts'
import { runObserver } from './run-observer.ts'
import { RunPolicies } from './run-policies.ts'
import { settlesWithin } from './settles-within.ts'

/** The guest must be ready this long after its VM was spawned; a restore takes a hundredth of it. */
const readyDeadlineMs = 30_000
/** What a guest gets to flush its disk when nobody is left to say how long to wait. */
const orphanGraceMs = 3_000
/** What a guest gets when a policy ends it. */
const policyGraceMs = 10_000
/** Ends after which there is nothing to wait for. */
const forced: ReadonlySet<ExitCause> = new Set(['not_ready', 'protocol', 'main_failed'])
/** What other processes of the box get when the main process has ended. */
const afterMainGraceMs = 2_000
/** What a slow reader gets to take the last output of a box that ended. */
const lastOutputMs = 5_000

export type Timings = {
  readonly resumedMs: number
  readonly configuredMs: number
  readonly guestMountedUs: number
  readonly guestReadyUs: number
}

/** Who is told what happens in a run. */
export type RunListener = {
  readonly records: Records
  /** The container runs; nothing runs in it yet. */
  onContainer(): void
}

/** One run of one box: its VMM, its clients, and the one way it ends. */
export class BoxRun implements Disposable {
  readonly relay: Relay
  readonly #launch: Launch
  readonly #directory: string
  readonly #records: Records
  readonly #onContainer: () => void
  readonly #machine: RunMachine
  readonly #server: Server
  readonly #startedAt = performance.now()
  readonly #broken = Promise.withResolvers<never>()
  /** The first cause wins: what follows from it is not news. */
  #ending: Ending | undefined
  #stage: 'starting' | 'running' | 'stopping' = 'starting'
  #isReady = false
  #isStopRequested = false
  #main: MainRun | undefined
  #policies: RunPolicies | undefined
  #ended: Promise<ExitRecord> | undefined

  private constructor(launch: Launch, directory: string, { records, onContainer }: RunListener, vmm: Vmm) {
    this.#launch = launch
    this.#directory = directory
    this.#records = records
    this.#onContainer = onContainer
    const hello = { protocol: protocolVersion, build: launch.build, features: [] }
    this.#machine = new RunMachine(vmm, hello, directory, {
      onFrame: frame => this.relay.fromAgent(frame),
      onDrain: () => this.relay.resume(),
      onProtocolError: error => this.#break(error),
    })
    const observer = runObserver(records, {
      refusal: () => this.#refusal(),
      startMain: () => this.startMain(),
      onTraffic: () => this.#policies?.touch(),
    })
    this.relay = new Relay(this.agent, hello, parameters => carryOut(this, parameters), observer)
    this.#server = createServer(socket => this.relay.accept(socket))
    this.#broken.promise.catch(() => {})
  }

  /** Takes over a VMM that was just spawned, and takes clients. Throws when it cannot; the VMM is then gone. */
  static async begin(launch: Launch, directory: string, listener: RunListener, vmm: Vmm): Promise<BoxRun> {
    const run = new BoxRun(launch, directory, listener, vmm)
    try {
      await listen(run.#server, directory)
    } catch (error) {
      await vmm.kill()
      throw error
    }
    return run
  }

  get agent(): AgentLink {
    return this.#machine.agent
  }

  /** Whether the container has run. */
  get isReady(): boolean {
    return this.#isReady
  }

  /** Whether somebody asked for its end, also when it was ending for another cause already. */
  get isStopRequested(): boolean {
    return this.#isStopRequested
  }

  /** Throws `Refusal` unless the guest can answer. */
  checkRunning(): void {
    if (this.#phase !== 'running') throw new Refusal(`it is ${this.#phase}`)
  }

  /** Since its VMM was spawned. */
  get ranMs(): number {
    return performance.now() - this.#startedAt
  }

  /** Resolves when the container runs. Throws after having ended the run: death, deadline, refusal, whichever came first. */
  async ready(): Promise<Timings> {
    const deadline = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => deadline.reject(new Error(`the guest was not ready within ${readyDeadlineMs / 1000} s`)),
      readyDeadlineMs,
    )
    const died = this.#machine.exited.then(exit => {
      throw new VmDied(exit)
    })
    try {
      return await Promise.race([this.#configure(), died, deadline.promise, this.#broken.promise])
    } catch (error) {
      this.#ending ??= failedEnding(error)
      await this.ended()
      throw error
    } finally {
      clearTimeout(timer)
      died.catch(() => {})
    }
  }

  /** Shuts the guest down, by force after `graceMs` (at once if it is 0). Resolves when the VMM is gone. */
  async stop(graceMs: number, cause: ExitCause): Promise<void> {
    if (cause === 'stopped') this.#isStopRequested = true
    this.#ending ??= askedEnding(cause)
    if (this.#isReady && this.#stage !== 'stopping') {
      this.#stage = 'stopping'
      void this.#records.transition({ to: 'stopping', from: ['running', 'paused'], cause })
    }
    faultPoint('shim: told to end')
    if (graceMs > 0) {
      await this.#machine.wake()
      const leftMs = (await this.#main?.end(graceMs, this.#machine.exited)) ?? graceMs
      if (await this.#machine.shutDown(leftMs)) return
    }
    if (this.#ending.cause === 'stopped')
      this.#ending = { cause: 'killed', message: 'the box was ended by force' }
    await this.#machine.kill()
  }

  /** Stops the guest's processes, file systems and processors. Idempotent. Throws `Refusal` unless the box runs. */
  pause(): Promise<void> {
    return this.#switch(true, { to: 'paused' })
  }

  /** Idempotent. Throws `Refusal` unless the box runs or is paused. */
  resume(): Promise<void> {
    return this.#switch(false, { to: 'running', from: ['paused'] })
  }

  /** The starter is gone: nobody is left who would attach first. */
  startMain(): void {
    this.#main?.start()
  }

  /** Ends the box because its owner is gone. */
  orphan(cause: 'orphaned' | 'stopped' = 'orphaned'): Promise<void> {
    return this.stop(this.#isReady ? orphanGraceMs : 0, cause)
  }

  /** Waits for the end of the VMM and writes the exit record. */
  ended(): Promise<ExitRecord> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  /** Closes the connections of clients, who then look at what became of the box. */
  [Symbol.dispose](): void {
    this.relay.close()
    this.#server.close()
  }

  async #end(): Promise<ExitRecord> {
    if (this.#ending !== undefined && forced.has(this.#ending.cause)) await this.#machine.kill()
    const exit = await this.#machine.exited
    faultPoint('shim: VMM ended')
    this.#policies?.[Symbol.dispose]()
    await settlesWithin(this.relay.drained(), lastOutputMs)
    const record = this.#record(exit)
    writeExitRecord(join(this.#directory, shimFiles.exit), record)
    faultPoint('shim: exit file written')
    this.#main?.[Symbol.dispose]()
    this.#machine[Symbol.dispose]()
    return record
  }

  async #configure(): Promise<Timings> {
    await this.#machine.restore()
    const resumedMs = this.ranMs
    const configured = await this.#machine.configure(this.#launch.guest)
    if (this.#launch.main !== undefined)
      this.#main = new MainRun(this.relay, this.#directory, this.#launch.main)
    if (this.#stage === 'starting') this.#stage = 'running'
    this.relay.open()
    this.#onContainer()
    if (this.#main !== undefined) await this.#beginMain(this.#main)
    this.#isReady = true
    this.#policies = this.#watch()
    return {
      resumedMs,
      configuredMs: this.ranMs,
      guestMountedUs: configured.mountedUs,
      guestReadyUs: configured.readyUs,
    }
  }

  /** Throws when the main process cannot be run. */
  async #beginMain(main: MainRun): Promise<void> {
    await main.begin()
    if (main.failure !== undefined) {
      this.#failMain(main.failure)
      throw new Error(main.failure.message)
    }
    void main.ended.then(() => this.#endWithMain(main))
  }

  #failMain(failure: Failure): void {
    this.#ending ??= mainFailedEnding(this.#launch.main?.request.argv[0], failure)
  }

  async #endWithMain(main: MainRun): Promise<void> {
    if (main.failure !== undefined) {
      this.#failMain(main.failure)
      return this.stop(0, 'main_failed')
    }
    this.#ending ??= mainEnding(main.exited?.code ?? 0)
    await this.stop(afterMainGraceMs, 'main_exited')
  }

  #watch(): RunPolicies {
    const { policy } = this.#launch
    return new RunPolicies(policy, {
      isBusy: () => this.#phase !== 'running' || this.relay.executions.all.some(isWork),
      stop: cause => void this.stop(policyGraceMs, cause),
      check: policy.health === undefined ? undefined : healthCheck(policy.health, this.relay, this.agent),
      onHealth: (health, isNews) => {
        this.#records.health(health)
        if (isNews) this.#records.event('health', { status: health.status, failures: health.failures })
      },
    })
  }

  #refusal(): Failure | undefined {
    if (this.#phase === 'running') return undefined
    return { kind: 'invalid_state', stage: 'shim', errno: 0, message: `the box is ${this.#phase}` }
  }

  async #switch(hold: boolean, change: Transition): Promise<void> {
    // What a check finds while the guest freezes says nothing about its health.
    if (this.#policies !== undefined && hold) this.#policies.isPaused = true
    try {
      await this.#machine.standstill.change(
        hold,
        () => {
          if (this.#stage !== 'running') this.checkRunning()
        },
        // An end that was asked for meanwhile is the news.
        async () => {
          if (this.#stage === 'running') await this.#records.transition(change)
        },
      )
    } finally {
      if (this.#policies !== undefined) this.#policies.isPaused = this.#machine.standstill.isHeld
    }
  }

  get #phase(): 'starting' | 'running' | 'paused' | 'stopping' {
    return this.#stage === 'running' && this.#machine.standstill.isHeld ? 'paused' : this.#stage
  }

  #break(error: ProtocolError): void {
    this.#ending ??= { cause: 'protocol', message: `the guest broke the protocol: ${error.message}` }
    this.#broken.reject(error)
  }

  #record(exit: VmmExit): ExitRecord {
    const { cause, message } = this.#ending ?? unaskedEnding(exit, this.#machine.isReset)
    return {
      cause,
      message,
      exitCode: exit.code,
      signal: exit.signal,
      stderr: exit.stderr,
      atMs: Date.now(),
      main: this.#main?.exited,
      mainFailure: this.#main?.failure,
    }
  }
}

/** Whether an execution is a reason for its box not to be idle. */
function isWork(entry: ExecutionEntry): boolean {
  return !entry.isDone && !entry.isHidden && entry.id !== mainId
}
