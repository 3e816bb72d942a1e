import { join } from 'node:path'
import { AgentLink } from '../guest/agent-link.ts'
import { type Frame, ProtocolError } from '../guest/frame.ts'
import type { Configured, GuestConfiguration, Hello } from '../guest/messages.ts'
import { ConsoleLog } from '../vm/console.ts'
import { loadMachine } from '../vm/load-machine.ts'
import { Qmp, type QmpEvent } from '../vm/qmp.ts'
import type { Vmm, VmmExit } from '../vm/vmm.ts'
import { shimFiles } from './launch.ts'
import { settlesWithin } from './settles-within.ts'
import { Standstill } from './standstill.ts'

/** Beyond the grace, for unmounting and powering off. */
const powerOffMs = 5_000
/** For a guest that stands still to run again, before it is shut down: with `powerOffMs` less than who asked waits beyond the grace. */
const wakeMs = 2_000

export type MachineEvents = {
  onFrame(frame: Frame): void
  /** The guest takes bytes again. */
  onDrain(): void
  /** The guest broke the protocol. The machine is being killed. */
  onProtocolError(error: ProtocolError): void
}

/** The machine of one run: its VMM, and the ways to talk to it and to the agent in it. */
export class RunMachine implements Disposable {
  readonly agent: AgentLink
  readonly standstill: Standstill
  readonly #vmm: Vmm
  readonly #events: MachineEvents
  readonly #console: ConsoleLog
  readonly #qmp: Qmp
  readonly #resumed = Promise.withResolvers<void>()
  #isReset = false

  constructor(vmm: Vmm, hello: Hello, directory: string, events: MachineEvents) {
    this.#vmm = vmm
    this.#events = events
    this.#console = new ConsoleLog(vmm.console, join(directory, shimFiles.console))
    this.#qmp = new Qmp(vmm.qmp, event => this.#onQmpEvent(event))
    this.agent = new AgentLink(vmm.agent, hello, {
      onFrame: frame => events.onFrame(frame),
      onFailure: error => this.#onAgentFailure(error),
      onDrain: () => events.onDrain(),
    })
    this.standstill = new Standstill(this.#qmp, this.agent)
  }

  /** Resolves when the VMM is gone. Never rejects. */
  get exited(): Promise<VmmExit> {
    return this.#vmm.exited
  }

  /** Whether the guest's kernel restarted it. */
  get isReset(): boolean {
    return this.#isReset
  }

  /** Resolves when the guest runs, as it was saved. */
  async restore(): Promise<void> {
    await Promise.all([loadMachine(this.#qmp), this.#resumed.promise])
  }

  /** Resolves when the container runs. */
  async configure(guest: GuestConfiguration): Promise<Configured> {
    const configured = await this.agent.configure(guest)
    // Ordered before everything that clients send. A guest that does not answer is found out by other means.
    this.agent.setClock().catch(() => {})
    return configured
  }

  /** Lets a machine go on that stands still, or tries to. */
  async wake(): Promise<void> {
    const released = this.standstill.release().catch(() => {})
    await settlesWithin(released, wakeMs)
  }

  /** Asks the guest to end its processes within the grace and to power off. Whether it did. */
  shutDown(graceMs: number): Promise<boolean> {
    this.agent.request('shutdown', { graceMs }).catch(() => {})
    return settlesWithin(this.exited, graceMs + powerOffMs)
  }

  /** Resolves when the VMM is gone. */
  async kill(): Promise<void> {
    await this.#vmm.kill()
  }

  /** Once the VMM is gone. */
  [Symbol.dispose](): void {
    this.#console[Symbol.dispose]()
    this.#qmp.close()
    this.#vmm.agent.destroy()
  }

  #onAgentFailure(error: Error): void {
    // A channel that closed is the VMM's end, or found out by other means.
    if (!(error instanceof ProtocolError)) return
    this.#events.onProtocolError(error)
    void this.#vmm.kill()
  }

  #onQmpEvent(event: QmpEvent): void {
    if (event.event === 'RESUME') this.#resumed.resolve()
    if (event.event === 'SHUTDOWN' && event.data['reason'] === 'guest-reset') this.#isReset = true
  }
}
