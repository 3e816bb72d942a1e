import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog, EventRow } from '../state/events.ts'
import type { BoxEvent, EventOptions } from './options.ts'
import { checkInteger } from './validate.ts'

// SQLite tells nobody that something was written; asking whether costs microseconds.
const lookMs = 50

/** What happens in a home, told by every process that works in it. Ends when `signal` aborts, or without `follow` at the newest. */
export function followEvents(
  events: EventLog,
  options: EventOptions,
): AsyncGenerator<BoxEvent, void, undefined> {
  const { after } = options
  // Now, not when the first one is asked for: what happens in between is wanted.
  const cursor =
    after === undefined ? events.last() : checkInteger('after', after, 0, Number.MAX_SAFE_INTEGER)
  return eventsAfter(events, cursor, options)
}

async function* eventsAfter(
  events: EventLog,
  begin: number,
  { follow = true, box, signal }: EventOptions,
): AsyncGenerator<BoxEvent, void, undefined> {
  let cursor = begin
  while (!signal?.aborted) {
    const rows = events.after(cursor)
    const [first] = rows
    // Numbers are given without gaps: what is missing was dropped.
    if (first !== undefined && first.cursor > cursor + 1) yield missedEvent(first, cursor)
    for (const row of rows) {
      cursor = row.cursor
      if (box === undefined || row.boxId === box || row.boxName === box) yield eventOf(row)
    }
    if (rows.length > 0) continue
    if (!follow) return
    await sleep(lookMs, undefined, signal === undefined ? {} : { signal }).catch(() => {})
  }
}

function eventOf({ cursor, atMs, boxId, boxName, type, details }: EventRow): BoxEvent {
  return { cursor, at: new Date(atMs), boxId, boxName, type, details }
}

function missedEvent(first: EventRow, cursor: number): BoxEvent {
  return {
    cursor: first.cursor - 1,
    at: new Date(first.atMs),
    boxId: '',
    boxName: undefined,
    type: 'missed',
    details: { count: first.cursor - 1 - cursor },
  }
}
