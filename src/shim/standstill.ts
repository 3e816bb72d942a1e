import type { AgentLink } from '../guest/agent-link.ts'
import type { Qmp } from '../vm/qmp.ts'
import { settlesWithin } from './settles-within.ts'

/** What the guest gets to stop its processes and to write its file systems out. */
const freezeDeadlineMs = 5_000

/** Pauses and resumptions of a machine, one after the other. */
export class Standstill {
  readonly #qmp: Qmp
  readonly #agent: AgentLink
  #isHeld = false
  #last: Promise<void> = Promise.resolve()

  constructor(qmp: Qmp, agent: AgentLink) {
    this.#qmp = qmp
    this.#agent = agent
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  /**
   * Has the machine stand still, or go on; nothing if it does so already. `allow` throws if it may not when its turn has come, or, once the
   * guest is frozen, any more. Throws, with the guest running, when it does not freeze.
   */
  change(hold: boolean, allow: () => void, onChange: () => Promise<void>): Promise<void> {
    const task = this.#last.then(async () => {
      if (this.#isHeld === hold) return
      allow()
      await (hold ? this.#hold(allow) : this.#letGo())
      await onChange()
    })
    this.#last = task.catch(() => {})
    return task
  }

  /** Lets a machine go on that is to end. One that is being frozen will not be held: its `allow` throws. */
  async release(): Promise<void> {
    await this.#last
    if (this.#isHeld) await this.#letGo()
  }

  /** The guest's processes and file systems first, then its processors. */
  async #hold(allow: () => void): Promise<void> {
    const frozen = this.#agent.request('freeze')
    try {
      if (!(await settlesWithin(frozen, freezeDeadlineMs)))
        throw new Error(`the guest did not freeze within ${freezeDeadlineMs / 1000} s`)
      allow()
      await this.#qmp.execute('stop')
      this.#isHeld = true
    } catch (error) {
      // Late is as bad as never: what did freeze is let go.
      frozen.catch(() => {})
      this.#agent.request('thaw').catch(() => {})
      // An end that began meanwhile undoes the freeze in the guest: it is the cause, whatever the guest says.
      allow()
      throw error
    }
  }

  /** The processors first, then the clock, which stood still, then what was frozen. */
  async #letGo(): Promise<void> {
    await this.#qmp.execute('cont')
    this.#isHeld = false
    await this.#agent.setClock()
    await this.#agent.request('thaw')
  }
}
