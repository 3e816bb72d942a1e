import type { Failure } from '../guest/messages.ts'
import { mainId } from './main-run.ts'
import type { Records } from './records.ts'
import type { RelayObserver } from './relay.ts'

/** The run whose executions are observed. */
export type Observed = {
  refusal(): Failure | undefined
  startMain(): void
  onTraffic(): void
}

/** Tells the records what is run in a box, and its run what concerns it. */
export function runObserver(records: Records, run: Observed): RelayObserver {
  return {
    refusal: () => run.refusal(),
    onAttach: id => {
      if (id === mainId) run.startMain()
    },
    onStarted: ({ id, command, pid = 0 }) =>
      records.event('exec_started', { execution: id, command: command.join(' ').slice(0, 256), pid }),
    onExited: ({ id, exited }) =>
      records.event('exec_exited', { execution: id, exitCode: exited?.code ?? null }),
    onTraffic: () => run.onTraffic(),
  }
}
