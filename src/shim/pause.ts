import type { Qmp } from '../vm/qmp.ts'
import type { AgentLink } from './agent-link.ts'
import { settlesWithin } from './settles-within.ts'

/** What the guest gets to stop its processes and to write its file systems out. */
const freezeDeadlineMs = 5_000

/** Freezes the guest's processes and file systems, then stops its processors. Throws, with the guest running, when it does not freeze. */
export async function pauseMachine(qmp: Qmp, agent: AgentLink): Promise<void> {
  const frozen = agent.request('freeze')
  try {
    if (!(await settlesWithin(frozen, freezeDeadlineMs)))
      throw new Error(`the guest did not freeze within ${freezeDeadlineMs / 1000} s`)
    await qmp.execute('stop')
  } catch (error) {
    // Late is as bad as never: what did freeze is let go.
    frozen.catch(() => {})
    agent.request('thaw').catch(() => {})
    throw error
  }
}

/** Lets the processors run, sets the guest's clock, which stood still, and thaws what was frozen. */
export async function resumeMachine(qmp: Qmp, agent: AgentLink): Promise<void> {
  await qmp.execute('cont')
  await agent.setClock()
  await agent.request('thaw')
}
