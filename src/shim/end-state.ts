import type { BoxStatus } from '../state/box-status.ts'
import type { Transition } from '../state/store.ts'
import { readCrashReport } from './crash-report.ts'
import { isOrderly } from './exit-file.ts'

/** What the end of a run, read from what it left in the box's directory, makes of the box. */
export function endState(directory: string): Transition {
  const { record, summary } = readCrashReport(directory)
  if (record === undefined)
    return {
      to: 'stopped',
      stoppedAtMs: Date.now(),
      reason: summary,
      cause: 'shim_killed',
    }
  const to: BoxStatus = isOrderly(record.cause) ? 'stopped' : 'failed'
  const reason = to === 'stopped' ? record.message : summary
  return {
    to,
    stoppedAtMs: record.atMs,
    reason,
    cause: record.cause,
    exitCode: record.main?.code,
  }
}
