import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { CofferError } from '../errors.ts'
import { migrations } from './migrations.ts'

/** A box as the database holds it. The database is a cache of what lives: the pid file is the truth. */
export type BoxRow = {
  readonly id: string
  readonly name: string | undefined
  readonly createdAtMs: number
  /** JSON, parsed at the edge by `runtime/box-config.ts`. */
  readonly config: string
  readonly status: string
  readonly startedAtMs: number | undefined
  readonly stoppedAtMs: number | undefined
  readonly reason: string | undefined
}

export type BoxState = Pick<BoxRow, 'status' | 'startedAtMs' | 'stoppedAtMs' | 'reason'>

const busyTimeoutMs = 10_000

/** The records of one home: SQLite in WAL mode, so that several processes read and write at the same time. */
export class Store implements Disposable {
  readonly #database: DatabaseSync
  readonly #path: string
  readonly #statements = new Map<string, StatementSync>()

  constructor(path: string) {
    this.#path = path
    this.#database = this.#guard('open', () => new DatabaseSync(path, { timeout: busyTimeoutMs }))
    try {
      this.#guard('migrate', () => migrate(this.#database))
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  /** Throws `already_exists` when the name is taken. */
  insertBox(row: BoxRow): void {
    try {
      this.#run(
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
    } catch (error) {
      if (!(error instanceof CofferError) || !isUniqueViolation(error.cause)) throw error
      throw new CofferError('already_exists', `cannot create box ${row.name}: the name is taken`, {
        hint: `Choose another name, or remove the box that has it (coffer rm ${row.name}).`,
        details: { name: row.name },
      })
    }
  }

  /** By id first, then by name. */
  findBox(idOrName: string): BoxRow | undefined {
    const rows = this.#all(
      'find',
      'SELECT * FROM box WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1',
      [idOrName],
    )
    return rows[0] === undefined ? undefined : rowOf(rows[0])
  }

  /** Newest first. */
  listBoxes(): BoxRow[] {
    return this.#all('list', 'SELECT * FROM box ORDER BY created_at_ms DESC, rowid DESC', []).map(rowOf)
  }

  /** False when there is no such box any more. */
  updateState(id: string, state: BoxState): boolean {
    return this.#run(
      'update',
      'UPDATE box SET status = ?, started_at_ms = ?, stopped_at_ms = ?, reason = ? WHERE id = ?',
      [state.status, state.startedAtMs ?? null, state.stoppedAtMs ?? null, state.reason ?? null, id],
    )
  }

  deleteBox(id: string): boolean {
    return this.#run('delete', 'DELETE FROM box WHERE id = ?', [id])
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close()
  }

  #run(step: string, sql: string, values: SQLInputValue[]): boolean {
    return this.#guard(step, () => this.#prepare(sql).run(...values).changes > 0)
  }

  #all(step: string, sql: string, values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#guard(step, () => this.#prepare(sql).all(...values))
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #guard<T>(step: string, action: () => T): T {
    try {
      return action()
    } catch (error) {
      if (error instanceof CofferError) throw error
      throw new CofferError(
        'database_error',
        `cannot ${step} in ${this.#path}: ${error instanceof Error ? error.message : error}`,
        {
          hint: 'Check that the home is writable and its disk not full (coffer doctor).',
          cause: error,
        },
      )
    }
  }
}

function migrate(database: DatabaseSync): void {
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON')
  if (schemaVersion(database) === migrations.length) return
  database.exec('BEGIN IMMEDIATE')
  try {
    // Read again under the lock: another process may have migrated meanwhile.
    const version = schemaVersion(database)
    if (version > migrations.length)
      throw new CofferError(
        'database_error',
        `the database has schema ${version}, this Coffer knows up to ${migrations.length}`,
        {
          hint: 'Use the newer Coffer that wrote it, or another home.',
        },
      )
    for (const step of migrations.slice(version)) database.exec(step)
    database.exec(`PRAGMA user_version = ${migrations.length}`)
    database.exec('COMMIT')
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}

function schemaVersion(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
}

function isUniqueViolation(error: unknown): boolean {
  const sqliteConstraint = 19
  const code = error instanceof Error ? Reflect.get(error, 'errcode') : undefined
  return typeof code === 'number' && (code & 0xff) === sqliteConstraint
}

function rowOf(row: Record<string, unknown>): BoxRow {
  return {
    id: String(row['id']),
    name: text(row['name']),
    createdAtMs: Number(row['created_at_ms']),
    config: String(row['config']),
    status: String(row['status']),
    startedAtMs: integer(row['started_at_ms']),
    stoppedAtMs: integer(row['stopped_at_ms']),
    reason: text(row['reason']),
  }
}

function text(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : String(value)
}

function integer(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value)
}
