import type { BoxInfo } from '../runtime/options.ts'
import { isActive } from '../state/box-status.ts'
import { formatAge, formatSpan } from './age.ts'
import { exitCodeOfResult } from './exit-codes.ts'

/** What a box does and since when, as people read it: `running 3 minutes (healthy)`, `stopped 2 minutes ago (exit 3)`. */
export function describeStatus(box: BoxInfo, now: Date): string {
  if (box.restart.nextAt !== undefined) return `restarting${soon(box.restart.nextAt, now)}`
  switch (box.status) {
    case 'running':
      return [box.status, box.startedAt && formatSpan(box.startedAt, now), note(healthOf(box))]
        .filter(Boolean)
        .join(' ')
    case 'stopped':
    case 'failed':
      return [box.status, box.stoppedAt && formatAge(box.stoppedAt, now), note(endOf(box))]
        .filter(Boolean)
        .join(' ')
    default:
      return box.status
  }
}

/** Whether it runs, or is about to without anybody doing anything. */
export function isAtWork({ status, restart }: BoxInfo): boolean {
  return isActive(status) || restart.nextAt !== undefined
}

function soon(at: Date, now: Date): string {
  const seconds = Math.ceil((at.getTime() - now.getTime()) / 1000)
  // Overdue: nobody lived to do it, and the runtime that reads this does it now.
  return seconds > 0 ? ` in ${seconds} s` : ''
}

function healthOf({ health }: BoxInfo): string | undefined {
  if (health.status === 'none') return undefined
  return health.status === 'starting' ? 'health: starting' : health.status
}

/** How the main process ended, if that is why the box did; as a shell has it, 128 + N for signal N. */
function endOf({ cause, exitCode }: BoxInfo): string | undefined {
  return cause === 'main_exited' ? `exit ${exitCodeOfResult({ exitCode: exitCode ?? 0 })}` : undefined
}

function note(text: string | undefined): string | undefined {
  return text === undefined ? undefined : `(${text})`
}
