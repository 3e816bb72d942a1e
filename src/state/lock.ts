import { rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { CofferError } from '../errors.ts'

/** A lock on a file, held until disposed or until the process ends, however it ends. */
export type Lock = Disposable & { readonly path: string }

const retryMs = 15

/**
 * Takes the lock at `path`, waiting for whoever holds it. Node has no flock(2); an exclusive transaction on an empty SQLite
 * database is one (fcntl locks, released by the kernel with the process) and is also exclusive within one process.
 */
export async function acquireLock(
  path: string,
  options: { signal?: AbortSignal | undefined; onWait?: () => void } = {},
): Promise<Lock> {
  for (let attempt = 0; ; attempt++) {
    options.signal?.throwIfAborted()
    const lock = tryLock(path)
    if (lock !== undefined) return lock
    if (attempt === 0) options.onWait?.()
    // The kernel tells nobody when an fcntl lock falls free, short of blocking the thread in F_SETLKW.
    await sleep(retryMs, undefined, options.signal === undefined ? {} : { signal: options.signal })
  }
}

/** The lock at `path`, or undefined if somebody holds it. */
export function tryLock(path: string): Lock | undefined {
  const database = openLockFile(path)
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw lockError(path, error)
  }
  return { path, [Symbol.dispose]: () => database.close() }
}

/**
 * Takes the lock at `path` together with others who share it; `tryLock` and `acquireLock` get it when nobody does. A read transaction on
 * the same empty database.
 */
export async function acquireSharedLock(path: string, signal?: AbortSignal): Promise<Lock> {
  for (;;) {
    signal?.throwIfAborted()
    const lock = tryShare(path)
    if (lock !== undefined) return lock
    await sleep(retryMs, undefined, signal === undefined ? {} : { signal })
  }
}

function tryShare(path: string): Lock | undefined {
  const database = openLockFile(path)
  try {
    database.exec('BEGIN')
    // The transaction takes its lock with the first thing it reads.
    database.prepare('SELECT count(*) FROM sqlite_schema').get()
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw lockError(path, error)
  }
  return { path, [Symbol.dispose]: () => database.close() }
}

/** Removes a lock whose thing is gone for good. */
export function removeLock(path: string): void {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
}

function openLockFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 })
  } catch (error) {
    throw new CofferError(
      'storage_error',
      `cannot open lock ${path}: ${error instanceof Error ? error.message : error}`,
      {
        hint: 'Check that the home is writable and its disk not full (coffer doctor).',
        cause: error,
      },
    )
  }
}

function lockError(path: string, error: unknown): CofferError {
  return new CofferError(
    'storage_error',
    `cannot lock ${path}: ${error instanceof Error ? error.message : error}`,
    { cause: error },
  )
}

const sqliteBusy = 5
const sqliteLocked = 6

export function isBusy(error: unknown): boolean {
  const code = error instanceof Error ? Reflect.get(error, 'errcode') : undefined
  return typeof code === 'number' && ((code & 0xff) === sqliteBusy || (code & 0xff) === sqliteLocked)
}
