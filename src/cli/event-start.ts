import { InvalidArgumentError } from 'commander'
import { parseSince } from './since.ts'

/** Where to begin in the events that are kept: behind the event with this cursor, or at a moment. */
export type EventStart = { readonly cursor: number } | { readonly since: Date }

/** A number is a cursor, anything else a moment as `parseSince` has it. */
export function parseEventStart(text: string, now: Date = new Date()): EventStart {
  if (!/^\d+$/.test(text)) return { since: parseMoment(text, now) }
  const cursor = Number(text)
  if (!Number.isSafeInteger(cursor)) throw new InvalidArgumentError('Expected the cursor of an event.')
  return { cursor }
}

function parseMoment(text: string, now: Date): Date {
  try {
    return parseSince(text, now)
  } catch {
    throw new InvalidArgumentError(
      'Expected the cursor of an event, how long ago, such as 10m, or a time such as 2030-01-31T12:00:00Z.',
    )
  }
}
