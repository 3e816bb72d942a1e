import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseRestartRecord, type RestartRecord } from '../shim/restart-policy.ts'
import { isActive } from '../state/box-status.ts'
import { sweepTemporary } from '../state/home.ts'
import { removeLock, tryLock } from '../state/lock.ts'
import { identify } from '../state/process-identity.ts'
import type { BoxRow } from '../state/store.ts'
import { decodeBoxConfig } from './box-config.ts'
import type { BoxContext } from './box-connection.ts'
import { findShim, isOfEarlierBoot } from './liveness.ts'
import { reconcile } from './reconcile.ts'
import { boxLockPath, removeBoxFiles } from './remove-box.ts'

/** A box that its policy wants to run again, and that has nobody to start it. */
export type OverdueRestart = { readonly row: BoxRow; readonly restarts: RestartRecord }

/**
 * Brings a home into order after whatever ended without doing so itself: temporary files, half-removed boxes, records of boxes that died,
 * ephemeral boxes that ended. Returns the boxes that are to be started again.
 */
export function recover(context: BoxContext): OverdueRestart[] {
  const { home, store } = context
  sweepTemporary(home, pid => identify(pid) !== undefined)
  // In this order: a record is older than its directory and its lock, so that a box which another process makes meanwhile is not taken for garbage.
  const directories = readdirSync(home.boxes)
  const locks = readdirSync(home.locks)
  const rows = new Map(store.listBoxes().map(row => [row.id, row]))
  for (const id of directories)
    if (!rows.has(id) && findShim(join(home.boxes, id), id) === undefined)
      rmSync(join(home.boxes, id), { recursive: true, force: true })
  for (const name of locks) {
    const id = /^box-([0-9A-Za-z]{12})$/.exec(name)?.[1]
    if (id !== undefined && !rows.has(id)) sweepLock(boxLockPath(home, id))
  }
  return [...rows.values()].flatMap(row => recoverBox(context, row))
}

function recoverBox(context: BoxContext, stored: BoxRow): OverdueRestart[] {
  const { home, store } = context
  const row = reconcile(home, store, stored)
  if (isActive(row.status) || row.status === 'configured') return []
  const config = decodeBoxConfig(row.id, row.config)
  if (config.ephemeral) sweepEphemeral(context, row)
  const restarts = parseRestartRecord(row.restart)
  const directory = join(home.boxes, row.id)
  if (restarts?.nextAtMs === undefined || !config.detach || findShim(directory, row.id) !== undefined)
    return []
  if (!isOfEarlierBoot(directory, row.id)) return [{ row, restarts }]
  // Nothing runs by itself after the host was started: there is no daemon.
  store.setRestart(row.id, JSON.stringify({ ...restarts, nextAtMs: undefined }))
  return []
}

/** Whoever holds its lock is busy with just that. */
function sweepEphemeral(context: BoxContext, row: BoxRow): void {
  using lock = tryLock(boxLockPath(context.home, row.id))
  if (lock !== undefined && findShim(join(context.home.boxes, row.id), row.id) === undefined)
    removeBoxFiles(context, row.id)
}

function sweepLock(path: string): void {
  using lock = tryLock(path)
  if (lock !== undefined) removeLock(path)
}
