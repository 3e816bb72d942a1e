import { CofferError } from '../errors.ts'
import { type BoxStatus, parseStatus, transitionEvent } from './box-status.ts'
import { Database, integerOf, isUniqueViolation, type Row, textOf } from './database.ts'
import { type EventDetails, EventLog, type EventType } from './events.ts'
import { ImageTable } from './images.ts'

/** A box as the database holds it. The database is a cache of what lives: the pid file is the truth. */
export type BoxRow = {
  readonly id: string
  readonly name: string | undefined
  readonly createdAtMs: number
  /** JSON, parsed at the edge by `runtime/box-config.ts`. */
  readonly config: string
  readonly status: BoxStatus
  readonly startedAtMs: number | undefined
  readonly stoppedAtMs: number | undefined
  readonly reason: string | undefined
  /** Of the main process in the last run, and what ended that run. */
  readonly exitCode?: number | undefined
  readonly cause?: string | undefined
  /** JSON of the shim's `HealthRecord` and `RestartRecord`. */
  readonly health?: string | undefined
  readonly restart?: string | undefined
  /** The manifest the box was first started from; undefined before that, and for the built-in image. */
  readonly imageDigest?: string | undefined
}

/** A change of a box's status. Times not named stay as they are. */
export type Transition = {
  readonly to: BoxStatus
  /** Only if the status is one of these. Default: any but `to`. */
  readonly from?: readonly BoxStatus[]
  readonly startedAtMs?: number
  readonly stoppedAtMs?: number
  /** Undefined: none. */
  readonly reason?: string | undefined
  readonly exitCode?: number | undefined
  readonly cause?: string | undefined
}

/** The records of one home. */
export class Store implements Disposable {
  readonly events: EventLog
  readonly images: ImageTable
  readonly #database: Database

  constructor(path: string) {
    this.#database = new Database(path)
    this.events = new EventLog(this.#database)
    this.images = new ImageTable(this.#database)
  }

  /** Throws `already_exists` when the name is taken. */
  insertBox(row: BoxRow): void {
    try {
      this.#database.transaction('create a box', () => {
        this.#database.run(
          'insert',
          `INSERT INTO box (id, name, created_at_ms, config, status, started_at_ms, stopped_at_ms, reason)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
          [
            row.id,
            row.name ?? null,
            row.createdAtMs,
            row.config,
            row.status,
            row.startedAtMs ?? null,
            row.stoppedAtMs ?? null,
            row.reason ?? null,
          ],
        )
        this.addEvent(row, 'created')
      })
    } catch (error) {
      if (!isUniqueViolation(error)) throw error
      throw new CofferError('already_exists', `cannot create box ${row.name}: the name is taken`, {
        hint: `Choose another name, or remove the box that has it (coffer rm ${row.name}).`,
        details: { name: row.name },
      })
    }
  }

  /** By id first, then by name. */
  findBox(idOrName: string): BoxRow | undefined {
    const [row] = this.#database.all(
      'find',
      'SELECT * FROM box WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1',
      [idOrName],
    )
    return row === undefined ? undefined : rowOf(row)
  }

  /** Newest first. */
  listBoxes(): BoxRow[] {
    return this.#database.all('list', 'SELECT * FROM box ORDER BY created_at_ms DESC, rowid DESC').map(rowOf)
  }

  /**
   * Carries out a change of status and tells of it. False when the box is gone or has none of the statuses `from`: of several processes that
   * see the same thing happen, one tells. Throws `invalid_state` for a change that does not exist.
   */
  transition(id: string, change: Transition): boolean {
    return this.#database.transaction('change the status', () => {
      const row = this.findBox(id)
      if (row === undefined) return false
      if (!(change.from?.includes(row.status) ?? row.status !== change.to)) return false
      const event = transitionEvent(row.name ?? id, row.status, change.to)
      this.#database.run(
        'update',
        `UPDATE box SET status = ?, started_at_ms = ?, stopped_at_ms = ?, reason = ?, exit_code = ?, cause = ?
         WHERE id = ?`,
        [
          change.to,
          change.startedAtMs ?? row.startedAtMs ?? null,
          change.stoppedAtMs ?? row.stoppedAtMs ?? null,
          change.reason ?? null,
          change.exitCode ?? null,
          change.cause ?? null,
          id,
        ],
      )
      this.addEvent(row, event, endDetails(change))
      return true
    })
  }

  /** Puts back how a box ended last, after it was started for other work than its own and stopped again. */
  restoreEnd({ id, status, startedAtMs, stoppedAtMs, reason, exitCode, cause }: BoxRow): void {
    this.#database.run(
      'restore the end',
      `UPDATE box SET status = ?, started_at_ms = ?, stopped_at_ms = ?, reason = ?, exit_code = ?, cause = ?
       WHERE id = ? AND status = 'stopped'`,
      [status, startedAtMs ?? null, stoppedAtMs ?? null, reason ?? null, exitCode ?? null, cause ?? null, id],
    )
  }

  setHealth(id: string, health: string | undefined): void {
    this.#database.run('record health', 'UPDATE box SET health = ? WHERE id = ?', [health ?? null, id])
  }

  setRestart(id: string, restart: string | undefined): void {
    this.#database.run('record restarts', 'UPDATE box SET restart = ? WHERE id = ?', [restart ?? null, id])
  }

  addEvent(box: Pick<BoxRow, 'id' | 'name'>, type: EventType, details: EventDetails = {}): void {
    this.events.add({ atMs: Date.now(), boxId: box.id, boxName: box.name, type, details })
  }

  deleteBox(id: string): boolean {
    return this.#database.transaction('remove a box', () => {
      const row = this.findBox(id)
      const isDeleted = this.#database.run('delete', 'DELETE FROM box WHERE id = ?', [id])
      if (row !== undefined && isDeleted) this.addEvent(row, 'removed')
      return isDeleted
    })
  }

  /** Several changes at once, or none of them. */
  transaction(work: () => void): void {
    this.#database.transaction('write', work)
  }

  [Symbol.dispose](): void {
    this.#database[Symbol.dispose]()
  }
}

function endDetails({ to, cause, exitCode, reason }: Transition): EventDetails {
  if (to !== 'stopped' && to !== 'failed') return cause === undefined ? {} : { cause }
  return { cause: cause ?? null, exitCode: exitCode ?? null, reason: reason ?? null }
}

function rowOf(row: Row): BoxRow {
  return {
    id: String(row['id']),
    name: textOf(row['name']),
    createdAtMs: Number(row['created_at_ms']),
    config: String(row['config']),
    status: parseStatus(String(row['status'])),
    startedAtMs: integerOf(row['started_at_ms']),
    stoppedAtMs: integerOf(row['stopped_at_ms']),
    reason: textOf(row['reason']),
    exitCode: integerOf(row['exit_code']),
    cause: textOf(row['cause']),
    health: textOf(row['health']),
    restart: textOf(row['restart']),
    imageDigest: textOf(row['image_digest']),
  }
}
