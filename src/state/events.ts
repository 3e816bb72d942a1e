import type { StatusEvent } from './box-status.ts'
import { type Database, integerOf, type Row, textOf } from './database.ts'

export type EventType =
  | StatusEvent
  | 'created'
  | 'starting'
  | 'exec_started'
  | 'exec_exited'
  | 'health'
  | 'removed'

export type EventDetails = { readonly [key: string]: string | number | boolean | null }

/** Something that happened to a box of the home. */
export type EventRow = {
  /** Grows by one with each event of the home. */
  readonly cursor: number
  readonly atMs: number
  readonly boxId: string
  readonly boxName: string | undefined
  readonly type: EventType
  readonly details: EventDetails
}

/** How many events a home keeps. */
export const maxEvents = 10_000
/** The table may exceed its bound by this much, so that not each event pays for it. */
const slack = 256

/** What happened in a home, told by every process that made it happen. */
export class EventLog {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  add(event: Omit<EventRow, 'cursor'>): void {
    this.#database.run(
      'record an event',
      'INSERT INTO event (at_ms, box_id, box_name, type, details) VALUES (?, ?, ?, ?, ?)',
      [event.atMs, event.boxId, event.boxName ?? null, event.type, JSON.stringify(event.details)],
    )
    this.#database.run(
      'drop old events',
      `DELETE FROM event WHERE cursor <= (SELECT max(cursor) FROM event) - ${maxEvents}
       AND (SELECT max(cursor) FROM event) % ${slack} = 0`,
      [],
    )
  }

  /** The cursor of the newest event; 0 before the first. */
  last(): number {
    return (
      integerOf(
        this.#database.all('read events', "SELECT seq FROM sqlite_sequence WHERE name = 'event'")[0]?.['seq'],
      ) ?? 0
    )
  }

  /** What came after `cursor`, oldest first, at most `limit`. */
  after(cursor: number, limit = 256): EventRow[] {
    return this.#database
      .all('read events', 'SELECT * FROM event WHERE cursor > ? ORDER BY cursor LIMIT ?', [cursor, limit])
      .map(eventOf)
  }

  /** The newest event that tells of a start of the box. */
  lastStart(boxId: string): EventRow | undefined {
    return this.#lastOf(boxId, 0, "'starting'")
  }

  /** The newest event after `cursor` that tells of the end of a run of the box. */
  lastEnd(boxId: string, cursor: number): EventRow | undefined {
    return this.#lastOf(boxId, cursor, "'stopped', 'failed'")
  }

  #lastOf(boxId: string, cursor: number, types: string): EventRow | undefined {
    const [row] = this.#database.all(
      'read events',
      `SELECT * FROM event WHERE box_id = ? AND cursor > ? AND type IN (${types}) ORDER BY cursor DESC LIMIT 1`,
      [boxId, cursor],
    )
    return row === undefined ? undefined : eventOf(row)
  }
}

function eventOf(row: Row): EventRow {
  return {
    cursor: Number(row['cursor']),
    atMs: Number(row['at_ms']),
    boxId: String(row['box_id']),
    boxName: textOf(row['box_name']),
    type: String(row['type']) as EventType,
    details: JSON.parse(String(row['details'])),
  }
}
