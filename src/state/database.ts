import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { CofferError } from '../errors.ts'
import { migrations } from './migrations.ts'

export type Row = Record<string, unknown>

const busyTimeoutMs = 10_000

/**
 * SQLite in WAL mode: several processes read and write at the same time. After its disposal it still answers, opening the file for
 * each question, so that who holds one needs no order of ends.
 */
export class Database implements Disposable {
  readonly #path: string
  readonly #statements = new Map<string, StatementSync>()
  #database: DatabaseSync | undefined
  #isTransaction = false

  /** Throws `database_error`. */
  constructor(path: string) {
    this.#path = path
    this.#database = this.#guard('open', () => connect(path))
    try {
      const database = this.#database
      this.#guard('migrate', () => migrate(database))
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  /** Whether a row was changed. */
  run(step: string, sql: string, values: readonly SQLInputValue[]): boolean {
    return this.#with(step, database => this.#prepare(database, sql).run(...values).changes > 0)
  }

  all(step: string, sql: string, values: readonly SQLInputValue[] = []): Row[] {
    return this.#with(step, database => this.#prepare(database, sql).all(...values))
  }

  /** Does all of `work` or nothing of it, while no other process writes. */
  transaction<Value>(step: string, work: () => Value): Value {
    if (this.#isTransaction) return work()
    return this.#with(step, database => {
      database.exec('BEGIN IMMEDIATE')
      this.#isTransaction = true
      try {
        const value = work()
        database.exec('COMMIT')
        return value
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      } finally {
        this.#isTransaction = false
      }
    })
  }

  [Symbol.dispose](): void {
    this.#statements.clear()
    this.#database?.close()
    this.#database = undefined
  }

  #with<Value>(step: string, action: (database: DatabaseSync) => Value): Value {
    return this.#guard(step, () => {
      if (this.#database !== undefined) return action(this.#database)
      this.#database = connect(this.#path)
      try {
        return action(this.#database)
      } finally {
        this[Symbol.dispose]()
      }
    })
  }

  #prepare(database: DatabaseSync, sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #guard<Value>(step: string, action: () => Value): Value {
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

/** Whether an error of this database says that a row of that key is there already. */
export function isUniqueViolation(error: unknown): boolean {
  const sqliteConstraint = 19
  const cause = error instanceof CofferError ? error.cause : error
  const code = cause instanceof Error ? Reflect.get(cause, 'errcode') : undefined
  return typeof code === 'number' && (code & 0xff) === sqliteConstraint
}

export function textOf(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : String(value)
}

export function integerOf(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value)
}

function connect(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs })
  try {
    database.exec('PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function migrate(database: DatabaseSync): void {
  database.exec('PRAGMA journal_mode = WAL')
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
