import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Home } from '../state/home.ts'
import type { Store } from '../state/store.ts'

/**
 * Removes a box that does not run; the caller holds its lock. The record goes first: a directory without one is swept when a runtime
 * opens, a record without a directory would be a box without its disk.
 */
export function removeBoxFiles({ home, store }: { home: Home; store: Store }, id: string): void {
  store.deleteBox(id)
  rmSync(join(home.boxes, id), { recursive: true, force: true })
  for (const suffix of ['', '-journal', '-wal', '-shm'])
    rmSync(`${boxLockPath(home, id)}${suffix}`, { force: true })
}

export function boxLockPath(home: Home, id: string): string {
  return join(home.locks, `box-${id}`)
}
