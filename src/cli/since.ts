import { InvalidArgumentError } from 'commander'
import { parseDurationMs } from './duration.ts'

const rfc3339 = /^\d{4}-\d{2}-\d{2}[tT ]\d{2}:\d{2}:\d{2}(\.\d+)?([zZ]|[+-]\d{2}:\d{2})$/

/** A moment as how long ago it was (`10m`), or in RFC 3339. */
export function parseSince(text: string, now: Date = new Date()): Date {
  if (rfc3339.test(text)) {
    const date = new Date(text)
    if (!Number.isNaN(date.getTime())) return date
  }
  try {
    return new Date(now.getTime() - parseDurationMs(text))
  } catch {
    throw new InvalidArgumentError(
      'Expected how long ago, such as 10m, or a time such as 2030-01-31T12:00:00Z.',
    )
  }
}
