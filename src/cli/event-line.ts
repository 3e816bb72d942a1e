import type { BoxEvent } from '../runtime/options.ts'
import { exitCodeOfResult } from './exit-codes.ts'
import { printable } from './style.ts'

// A stream has no widest cell to wait for: these are the lengths of an id and of the longest type.
const boxWidth = 12
const typeWidth = 12

/** One event on one line: when, which box, what, and of the details what people look for. */
export function formatEvent(event: BoxEvent): string {
  const box = event.type === 'missed' ? '-' : (event.boxName ?? event.boxId)
  const cells = [event.at.toISOString(), box.padEnd(boxWidth), event.type.padEnd(typeWidth), detailsOf(event)]
  return `${printable(cells.join('  ')).replaceAll('\n', ' ').trimEnd()}\n`
}

function detailsOf({ type, details }: BoxEvent): string {
  const text = (key: string): string => String(details[key] ?? '')
  switch (type) {
    case 'starting':
      return details['restart'] === undefined ? '' : `restart ${text('restart')}`
    case 'exec_started':
      return `${text('execution')}: ${text('command')}`
    case 'exec_exited':
      return `${text('execution')}: ${exitOf(details['exitCode'])}`
    case 'health':
      return healthOf(text('status'), Number(details['failures'] ?? 0))
    case 'stopping':
      return text('cause')
    case 'stopped':
    case 'failed':
      return text('reason')
    case 'missed':
      return `${text('count')} events are not kept any more`
    default:
      return ''
  }
}

function exitOf(code: unknown): string {
  return typeof code === 'number' ? `exit ${exitCodeOfResult({ exitCode: code })}` : 'no exit code'
}

function healthOf(status: string, failures: number): string {
  if (failures === 0) return status
  return `${status}, ${failures} ${failures === 1 ? 'failure' : 'failures'} in a row`
}
