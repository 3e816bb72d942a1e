import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { CborMap } from '../guest/cbor.ts'
import { type Frame, ProtocolError } from '../guest/frame.ts'
import type { Failure } from '../guest/messages.ts'
import { integer, text } from '../guest/parse.ts'
import { protocolVersion, signalTargets } from '../guest/protocol.ts'
import { ConsoleLog } from '../vm/console.ts'
import { jailPaths } from '../vm/machine.ts'
import { Qmp, type QmpEvent } from '../vm/qmp.ts'
import type { Vmm, VmmExit } from '../vm/vmm.ts'
import { AgentLink, ConfigureError } from './agent-link.ts'
import { type ExitCause, type ExitRecord, writeExitRecord } from './exit-file.ts'
import { type Launch, shimFiles } from './launch.ts'
import { listen } from './listen.ts'
import { MainRun, mainId } from './main-run.ts'
import { Relay } from './relay.ts'
import { settlesWithin } from './settles-within.ts'

/** The guest must be ready this long after its VM was spawned; a restore takes a hundredth of it. */
const readyDeadlineMs = 30_000
/** What a guest gets to flush its disk when nobody is left to say how long to wait. */
const orphanGraceMs = 3_000
/** Ends after which there is nothing to wait for. */
const forced: ReadonlySet<ExitCause> = new Set(['not_ready', 'protocol', 'main_failed'])
/** What other processes of the box get when the main process has ended. */
const afterMainGraceMs = 2_000
/** What a slow reader gets to take the last output of a box that ended. */
const lastOutputMs = 5_000
/** Beyond the grace, for unmounting and powering off. */
const powerOffMs = 5_000

export type Timings = {
  readonly resumedMs: number
  readonly configuredMs: number
  readonly guestMountedUs: number
  readonly guestReadyUs: number
}

/** One run of one box: its VMM, its clients, and the one way it ends. */
export class BoxRun {
  readonly #launch: Launch
  readonly #directory: string
  readonly #vmm: Vmm
  readonly #console: ConsoleLog
  readonly #qmp: Qmp
  readonly #agent: AgentLink
  readonly #relay: Relay
  readonly #server: Server
  readonly #startedAt = performance.now()
  readonly #resumed = Promise.withResolvers<void>()
  readonly #broken = Promise.withResolvers<never>()
  /** The first cause wins: what follows from it is not news. */
  #cause: { readonly cause: ExitCause; readonly message: string } | undefined
  #guestReset = false
  #main: MainRun | undefined
  #isReady = false

  private constructor(launch: Launch, directory: string, vmm: Vmm) {
    this.#launch = launch
    this.#directory = directory
    this.#vmm = vmm
    const hello = { protocol: protocolVersion, build: launch.build, features: [] }
    this.#console = new ConsoleLog(vmm.console, join(directory, shimFiles.console))
    this.#qmp = new Qmp(vmm.qmp, event => this.#onQmpEvent(event))
    this.#agent = new AgentLink(vmm.agent, hello, {
      onFrame: frame => this.#onAgentFrame(frame),
      onFailure: error => this.#onAgentFailure(error),
      onDrain: () => this.#relay.resume(),
    })
    this.#relay = new Relay(
      this.#agent,
      hello,
      parameters => this.#request(parameters),
      id => {
        if (id === mainId) this.#main?.start()
      },
    )
    this.#server = createServer(socket => this.#relay.accept(socket))
    this.#resumed.promise.catch(() => {})
    this.#broken.promise.catch(() => {})
  }

  /** Takes over a VMM that was just spawned, and takes clients. Throws when it cannot; the VMM is then gone. */
  static async begin(launch: Launch, directory: string, vmm: Vmm): Promise<BoxRun> {
    const run = new BoxRun(launch, directory, vmm)
    try {
      await listen(run.#server, directory)
    } catch (error) {
      await vmm.kill()
      throw error
    }
    return run
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Resolves when the container runs. Throws after having ended the run: death, deadline, refusal, whichever came first. */
  async ready(): Promise<Timings> {
    const deadline = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => deadline.reject(new Error(`the guest was not ready within ${readyDeadlineMs / 1000} s`)),
      readyDeadlineMs,
    )
    const died = this.#vmm.exited.then(exit => {
      throw new VmDied(describeExit(exit))
    })
    try {
      return await Promise.race([this.#configure(), died, deadline.promise, this.#broken.promise])
    } catch (error) {
      this.#cause ??= {
        cause: error instanceof VmDied ? 'vm_died' : 'not_ready',
        message: describeFailure(error),
      }
      await this.finish()
      throw error
    } finally {
      clearTimeout(timer)
      died.catch(() => {})
    }
  }

  /** Shuts the guest down, by force after `graceMs` (at once if it is 0). Resolves when the VMM is gone. */
  async stop(graceMs: number, cause: ExitCause): Promise<void> {
    this.#cause ??= {
      cause,
      message: cause === 'orphaned' ? 'the process that started the box is gone' : 'the box was stopped',
    }
    if (graceMs > 0) {
      this.#agent.request('shutdown', { graceMs }).catch(() => {})
      if (await settlesWithin(this.#vmm.exited, graceMs + powerOffMs)) return
    }
    if (this.#cause.cause === 'stopped')
      this.#cause = { cause: 'killed', message: 'the box was ended by force' }
    await this.#vmm.kill()
  }

  /** Waits for the end of the VMM, writes the exit record and releases everything. */
  async finish(): Promise<ExitRecord> {
    if (this.#cause !== undefined && forced.has(this.#cause.cause)) await this.#vmm.kill()
    const exit = await this.#vmm.exited
    await settlesWithin(this.#relay.drained(), lastOutputMs)
    const record = this.#record(exit)
    writeExitRecord(join(this.#directory, shimFiles.exit), record)
    this.#relay.close()
    this.#server.close()
    this.#console[Symbol.dispose]()
    this.#main?.[Symbol.dispose]()
    this.#qmp.close()
    this.#vmm.agent.destroy()
    return record
  }

  async #configure(): Promise<Timings> {
    // Sent at once and carried out in order. The machine was saved running, so it runs when it is loaded.
    await Promise.all([
      this.#qmp.execute('qmp_capabilities'),
      this.#qmp.execute('migrate-set-capabilities', {
        capabilities: [{ capability: 'x-ignore-shared', state: true }],
      }),
      this.#qmp.execute('migrate-incoming', { uri: `file:${jailPaths.device}` }),
      this.#resumed.promise,
    ])
    const resumedMs = performance.now() - this.#startedAt
    const configured = await this.#agent.configure(this.#launch.guest)
    const main = this.#prepareMain()
    this.#relay.open()
    if (main !== undefined) await this.#beginMain(main)
    this.#isReady = true
    return {
      resumedMs,
      configuredMs: performance.now() - this.#startedAt,
      guestMountedUs: configured.mountedUs,
      guestReadyUs: configured.readyUs,
    }
  }

  async #request(parameters: CborMap): Promise<CborMap> {
    const method = text(parameters, 'method')
    switch (method) {
      case 'ping':
        return {}
      case 'executions':
        return { executions: this.#relay.executions.all.map(entry => entry.describe()) }
      case 'kill':
        this.#kill(text(parameters, 'id'), integer(parameters, 'signal', 1, 64))
        return {}
      case 'top':
        return this.#agent.request('top')
      case 'stop':
        await this.stop(integer(parameters, 'graceMs', 0, 24 * 3600_000), 'stopped')
        return {}
      default:
        throw new Error(`the shim knows no method ${method.slice(0, 64)}`)
    }
  }

  #prepareMain(): MainRun | undefined {
    if (this.#launch.main !== undefined)
      this.#main = new MainRun(this.#relay, this.#directory, this.#launch.main)
    return this.#main
  }

  /** Waits until the main process runs, unless it is to wait for its first client. Throws when it cannot be run. */
  async #beginMain(main: MainRun): Promise<void> {
    const isFirst = this.#launch.main?.waitForAttach === false
    if (isFirst) {
      main.start()
      await main.begun
    }
    if (main.failure !== undefined) {
      this.#failMain(main.failure)
      throw new Error(main.failure.message)
    }
    void main.ended.then(() => this.#endWithMain(main))
  }

  #failMain(failure: Failure): void {
    const command = this.#launch.main?.request.argv[0]
    this.#cause ??= { cause: 'main_failed', message: `cannot run ${command}: ${failure.message}` }
  }

  async #endWithMain(main: MainRun): Promise<void> {
    if (main.failure !== undefined) {
      this.#failMain(main.failure)
      return this.stop(0, 'main_failed')
    }
    const code = main.exited?.code ?? 0
    const how = code < 0 ? `was ended by signal ${-code}` : `ended with exit code ${code}`
    this.#cause ??= { cause: 'main_exited', message: `its main process ${how}` }
    await this.stop(afterMainGraceMs, 'main_exited')
  }

  #kill(id: string, signal: number): void {
    const entry = this.#relay.executions.get(id)
    if (entry === undefined) throw new Error(`there is no execution ${id}`)
    entry.kill(signal, signalTargets.group)
  }

  /** The starter is gone: nobody is left who would attach first. */
  startMain(): void {
    this.#main?.start()
  }

  #onAgentFrame(frame: Frame): void {
    this.#relay.fromAgent(frame)
  }

  #onAgentFailure(error: Error): void {
    if (error instanceof ProtocolError) {
      this.#cause ??= { cause: 'protocol', message: `the guest broke the protocol: ${error.message}` }
      void this.#vmm.kill()
      this.#broken.reject(error)
    }
  }

  #onQmpEvent(event: QmpEvent): void {
    if (event.event === 'RESUME') this.#resumed.resolve()
    if (event.event === 'SHUTDOWN' && event.data['reason'] === 'guest-reset') this.#guestReset = true
  }

  #record(exit: VmmExit): ExitRecord {
    const { cause, message } = this.#cause ?? this.#unasked(exit)
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

  #unasked(exit: VmmExit): { cause: ExitCause; message: string } {
    if (exit.code !== 0) return { cause: 'vm_died', message: describeExit(exit) }
    if (this.#guestReset) return { cause: 'vm_died', message: "the guest's kernel restarted the machine" }
    return { cause: 'guest_shutdown', message: 'the guest powered off' }
  }

  /** Ends the box because its owner is gone. */
  orphan(): Promise<void> {
    return this.stop(this.#isReady ? orphanGraceMs : 0, 'orphaned')
  }
}

class VmDied extends Error {}

function describeFailure(error: unknown): string {
  if (error instanceof ConfigureError) return `the guest could not set up the container: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}

function describeExit(exit: VmmExit): string {
  if (exit.signal !== undefined) return `QEMU was ended by signal ${exit.signal}`
  return `QEMU ended with exit code ${exit.code}`
}
