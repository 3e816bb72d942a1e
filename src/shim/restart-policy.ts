import { type ExitRecord, isWanted } from './exit-file.ts'
import type { RestartPolicy } from './launch.ts'

/** Restarts of a box that nobody asked for, as its record holds them. */
export type RestartRecord = {
  /** In a row: a run of ten seconds, or a user's start, begins anew. */
  readonly count: number
  /** Why the last run ended. */
  readonly cause: string
  readonly lastAtMs?: number | undefined
  /** When the box starts again, if it waits for that. */
  readonly nextAtMs?: number | undefined
}

const firstDelayMs = 100
const longestDelayMs = 60_000
/** A run as long as this was no crash loop. */
const settledMs = 10_000

/** Whether a run that ended so is followed by another one, and after how long. Pure: the clock is the caller's. */
export function planRestart(
  policy: RestartPolicy,
  ended: {
    readonly record: Pick<ExitRecord, 'cause' | 'main'>
    readonly ranMs: number
    readonly before: RestartRecord | undefined
  },
): { readonly count: number; readonly delayMs: number } | undefined {
  const { record, ranMs, before } = ended
  if (policy.condition === 'no' || isWanted(record.cause)) return undefined
  if (policy.condition === 'on-failure' && !isFailure(record)) return undefined
  const count = ranMs >= settledMs ? 1 : (before?.count ?? 0) + 1
  if (policy.maxRetries !== undefined && count > policy.maxRetries) return undefined
  return { count, delayMs: Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(count - 1, 16)) }
}

/** A power-off from within is as good as exit code 0. */
function isFailure({ cause, main }: Pick<ExitRecord, 'cause' | 'main'>): boolean {
  if (cause === 'main_exited') return main?.code !== 0
  return cause !== 'guest_shutdown'
}

/** The JSON of a record, or undefined when it is none. */
export function parseRestartRecord(json: string | undefined): RestartRecord | undefined {
  if (json === undefined) return undefined
  const { count, cause, lastAtMs, nextAtMs } = JSON.parse(json) as Partial<RestartRecord>
  return typeof count === 'number' && typeof cause === 'string'
    ? { count, cause, lastAtMs, nextAtMs }
    : undefined
}
