import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { faultPoint } from '../state/fault-point.ts'
import type { Home } from '../state/home.ts'
import { removeLock } from '../state/lock.ts'
import type { Store } from '../state/store.ts'

/**
 * Removes a box that does not run; the caller holds its lock. The record goes first: a directory without one is swept when a runtime
 * opens, a record without a directory would be a box without its disk.
 */
export function removeBoxFiles({ home, store }: { home: Home; store: Store }, id: string): void {
  store.deleteBox(id)
  faultPoint('remove: record gone')
  rmSync(join(home.boxes, id), { recursive: true, force: true })
  faultPoint('remove: directory gone')
  removeLock(boxLockPath(home, id))
}

export function boxLockPath(home: Home, id: string): string {
  return join(home.locks, `box-${id}`)
}
