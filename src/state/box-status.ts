import { CofferError } from '../errors.ts'

export const boxStatuses = [
  /** Made and never started. */
  'configured',
  /** Its container runs. */
  'running',
  /** Its processors and file systems stand still. */
  'paused',
  /** It was told to end. */
  'stopping',
  /** It ended because somebody or something wanted it to; its disk is kept. */
  'stopped',
  /** It did not start, or died: see its reason. */
  'failed',
  /** Its record says what this version does not know. */
  'unknown',
] as const

export type BoxStatus = (typeof boxStatuses)[number]

/** Every change of status there is, and the event that tells of it. */
const transitions = {
  configured: { running: 'started', stopped: 'stopped', failed: 'failed' },
  running: { paused: 'paused', stopping: 'stopping', stopped: 'stopped', failed: 'failed' },
  paused: { running: 'resumed', stopping: 'stopping', stopped: 'stopped', failed: 'failed' },
  stopping: { stopped: 'stopped', failed: 'failed' },
  stopped: { running: 'started', failed: 'failed' },
  // From failed to failed: one more start that came to nothing.
  failed: { running: 'started', stopped: 'stopped', failed: 'failed' },
  unknown: { running: 'started', stopping: 'stopping', stopped: 'stopped', failed: 'failed' },
} as const satisfies Readonly<Record<BoxStatus, Partial<Record<BoxStatus, string>>>>

type EventOf<To> = To extends Record<string, infer Event> ? Event : never

/** Names of the events that a change of status causes. */
export type StatusEvent = { [From in BoxStatus]: EventOf<(typeof transitions)[From]> }[BoxStatus]

/** The event of the change from `from` to `to`. Throws `invalid_state` naming both when there is no such change. */
export function transitionEvent(label: string, from: BoxStatus, to: BoxStatus): StatusEvent {
  const targets: Partial<Record<BoxStatus, StatusEvent>> = transitions[from]
  const event = targets[to]
  if (event !== undefined) return event
  throw new CofferError('invalid_state', `box ${label} cannot become ${to}: it is ${from}`, {
    hint: 'coffer ps -a shows the status of every box.',
    details: { from, to },
  })
}

/** A box of this status has a VM. */
export function isActive(status: BoxStatus): boolean {
  return status === 'running' || status === 'paused' || status === 'stopping'
}

/** The status a record names; what this version does not know is `unknown`. */
export function parseStatus(text: string): BoxStatus {
  return boxStatuses.find(status => status === text) ?? 'unknown'
}
