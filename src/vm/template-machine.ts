import { setTimeout as sleep } from 'node:timers/promises'
import { CofferError, isCofferError } from '../errors.ts'
import { AgentLink } from '../guest/agent-link.ts'
import { protocolVersion } from '../guest/protocol.ts'
import type { JailGrants } from '../jail/jail.ts'
import { packageVersion } from '../version.ts'
import type { Components } from './components.ts'
import { ConsoleTail } from './console.ts'
import { jailPaths, type MachineMode, type MachineSpec, machineArguments, machineDevices } from './machine.ts'
import { Qmp, type QmpEvent } from './qmp.ts'
import { Vmm, type VmmExit } from './vmm.ts'

export type MachineRequest = {
  readonly components: Components
  readonly spec: MachineSpec
  readonly mode: MachineMode
  readonly grants: Omit<JailGrants, 'devices'>
  readonly signal?: AbortSignal | undefined
}

const saveDeadlineMs = 30_000
/** A broken connection is the first sign of a death, its cause comes a moment later. */
const causeMs = 200

/** A machine that becomes a template. It ends with its disposal. */
export class TemplateMachine implements AsyncDisposable {
  readonly qmp: Qmp
  readonly agent: AgentLink
  readonly #vmm: Vmm
  readonly #console: ConsoleTail
  readonly #signal: AbortSignal | undefined
  readonly #migrated = Promise.withResolvers<void>()

  private constructor(vmm: Vmm, signal: AbortSignal | undefined) {
    this.#vmm = vmm
    this.#signal = signal
    this.#console = new ConsoleTail(vmm.console)
    this.qmp = new Qmp(vmm.qmp, event => this.#onEvent(event))
    this.#migrated.promise.catch(() => {})
    const hello = { protocol: protocolVersion, build: packageVersion(), features: [] }
    // What breaks the link rejects whatever is waited for on it.
    this.agent = new AgentLink(vmm.agent, hello, { onFrame() {}, onFailure() {}, onDrain() {} })
  }

  /** Throws `engine_unavailable` when the jail cannot be started. */
  static async spawn({ components, spec, mode, grants, signal }: MachineRequest): Promise<TemplateMachine> {
    const vmm = await Vmm.spawn({
      bubblewrap: components.bubblewrap,
      qemu: components.qemu,
      arguments: machineArguments(spec, mode),
      grants: { ...grants, devices: machineDevices(spec.accelerator) },
    })
    return new TemplateMachine(vmm, signal)
  }

  /**
   * Saves its devices; the memory file is complete then too. The guest runs until the last moment, so that it also runs on when it is
   * restored. Throws `engine_unavailable`.
   */
  async save(): Promise<void> {
    await this.within('save the template', saveDeadlineMs, this.#migrate())
  }

  /** The task, or the death of the VMM, or the deadline, or the caller's signal: whichever comes first. Throws `engine_unavailable`. */
  async within<T>(step: string, deadlineMs: number, task: Promise<T>): Promise<T> {
    const end = new AbortController()
    const signal = this.#signal === undefined ? end.signal : AbortSignal.any([end.signal, this.#signal])
    const timer = setTimeout(() => end.abort(this.#timedOut(step, deadlineMs)), deadlineMs)
    const aborted = new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    const died = this.#vmm.exited.then(exit => {
      throw this.#diedEarly(step, exit)
    })
    try {
      return await Promise.race([task, died, aborted])
    } catch (error) {
      if (signal.aborted) throw error
      await Promise.race([died, sleep(causeMs)])
      throw isCofferError(error) ? error : failed(step, error)
    } finally {
      clearTimeout(timer)
      task.catch(() => {})
      died.catch(() => {})
      aborted.catch(() => {})
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#vmm.kill()
  }

  async #migrate(): Promise<void> {
    const capabilities = ['x-ignore-shared', 'events'].map(capability => ({ capability, state: true }))
    await this.qmp.execute('migrate-set-capabilities', { capabilities })
    await this.qmp.execute('migrate', { uri: `file:${jailPaths.device}` })
    await this.#migrated.promise
  }

  #onEvent(event: QmpEvent): void {
    if (event.event !== 'MIGRATION') return
    if (event.data['status'] === 'completed') this.#migrated.resolve()
    if (event.data['status'] === 'failed')
      this.#migrated.reject(
        new CofferError('engine_unavailable', 'QEMU could not save the template: the migration failed'),
      )
  }

  #timedOut(step: string, deadlineMs: number): CofferError {
    return new CofferError(
      'engine_unavailable',
      `cannot ${step}: the guest did not answer within ${deadlineMs / 1000} s`,
      {
        hint: 'The end of its console is in the details (--debug). COFFER_ACCEL=tcg rules out the hardware accelerator.',
        details: { console: this.#console.text },
      },
    )
  }

  #diedEarly(step: string, exit: VmmExit): CofferError {
    const how = exit.signal === undefined ? `exit code ${exit.code}` : `signal ${exit.signal}`
    const words = exit.stderr.trim() || this.#console.text.trim().split('\n').slice(-5).join('\n')
    return new CofferError(
      'engine_unavailable',
      `cannot ${step}: QEMU ended with ${how}${words === '' ? '' : `\n${words}`}`,
      { hint: 'Run: coffer doctor', details: { console: this.#console.text, stderr: exit.stderr } },
    )
  }
}

/** The guest refused, or broke the protocol. */
function failed(step: string, cause: unknown): CofferError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new CofferError('engine_unavailable', `cannot ${step}: ${reason}`, {
    hint: 'Run: coffer doctor',
    cause,
  })
}
