import { join } from 'node:path'
import { endState } from '../shim/end-state.ts'
import { readExitRecord } from '../shim/exit-file.ts'
import { shimFiles } from '../shim/launch.ts'
import { parseRestartRecord, planRestart } from '../shim/restart-policy.ts'
import { isActive } from '../state/box-status.ts'
import type { Home } from '../state/home.ts'
import type { BoxRow, Store } from '../state/store.ts'
import { decodeBoxConfig } from './box-config.ts'
import { findShim, isOfEarlierBoot } from './liveness.ts'
import { reapBox } from './reap.ts'

/** The record of a box, mended if it says that the box runs and its shim is dead. The pid file is the truth, the record a cache. */
export function reconcile(home: Home, store: Store, row: BoxRow): BoxRow {
  const directory = join(home.boxes, row.id)
  if (!isActive(row.status) || findShim(directory, row.id) !== undefined) return row
  // 1. A shim whose pid file is lost may live; nobody could reach it any more.
  reapBox(row.id)
  // 2. What it recorded before it went, or that it was killed. Told to stop and killed on the way: that is what was wanted.
  const end = endState(directory)
  const to = row.status === 'stopping' ? 'stopped' : end.to
  // 3. Of several processes that see it, one changes the record, and plans what the policy of the box wants.
  if (store.transition(row.id, { ...end, to, from: [row.status] }) && row.status !== 'stopping')
    planOverdueRestart(store, row, directory)
  return store.findBox(row.id) ?? row
}

/** The shim did not live to do it. */
function planOverdueRestart(store: Store, row: BoxRow, directory: string): void {
  // Nothing runs by itself after the host was started: there is no daemon.
  if (isOfEarlierBoot(directory, row.id)) return
  // An attached box ends with whoever started it.
  const config = decodeBoxConfig(row.id, row.config)
  if (!config.detach) return
  const atMs = Date.now()
  const record = readExitRecord(join(directory, shimFiles.exit)) ?? { cause: 'shim_killed' as const }
  const before = parseRestartRecord(row.restart)
  const ranMs = atMs - (row.startedAtMs ?? atMs)
  const plan = planRestart(config.restart, { record, ranMs, before })
  if (plan === undefined) return
  const restarts = {
    count: plan.count - 1,
    cause: record.cause,
    lastAtMs: before?.lastAtMs,
    nextAtMs: atMs + plan.delayMs,
  }
  store.setRestart(row.id, JSON.stringify(restarts))
}
