import { join } from 'node:path'
import { type ExitCause, readExitRecord } from '../shim/exit-file.ts'
import { shimFiles } from '../shim/launch.ts'
import type { BoxRow, BoxState } from '../state/store.ts'
import { readCrashReport } from './crash-report.ts'
import { reapOrphans } from './orphans.ts'

const orderly: ReadonlySet<ExitCause> = new Set([
  'stopped',
  'killed',
  'orphaned',
  'guest_shutdown',
  'main_exited',
])

/** Whether a run ended because somebody wanted it to. */
export function isOrderly(cause: ExitCause): boolean {
  return orderly.has(cause)
}

/** The state of a box whose shim is gone, out of what its last run left behind. */
export function stoppedState(row: BoxRow, directory: string): BoxState {
  const record = readExitRecord(join(directory, shimFiles.exit))
  if (record === undefined) reapOrphans(row.id)
  if (record === undefined)
    return {
      status: 'stopped',
      startedAtMs: row.startedAtMs,
      stoppedAtMs: row.stoppedAtMs ?? Date.now(),
      reason: readCrashReport(directory).summary,
    }
  const state = { startedAtMs: row.startedAtMs, stoppedAtMs: record.atMs }
  if (isOrderly(record.cause)) return { ...state, status: 'stopped', reason: record.message }
  return { ...state, status: 'failed', reason: readCrashReport(directory).summary }
}
