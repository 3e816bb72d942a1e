import { join } from 'node:path'
import type { Home } from '../state/home.ts'
import type { BoxRow, BoxState, Store } from '../state/store.ts'
import { decodeBoxConfig } from './box-config.ts'
import { findShim } from './liveness.ts'
import type { BoxInfo, BoxStatus } from './options.ts'
import { stoppedState } from './reconcile.ts'

/** A row as users see it. What the row says of a run is checked against the pid file, and mended in the store if it is stale. */
export function boxInfo(home: Home, store: Store, row: BoxRow): BoxInfo {
  const config = decodeBoxConfig(row.id, row.config)
  const directory = join(home.boxes, row.id)
  const shim = findShim(directory, row.id)
  const state =
    shim === undefined ? deadState(store, row, directory) : { ...row, status: 'running', reason: undefined }
  return {
    id: row.id,
    name: row.name,
    status: statusOf(state.status),
    image: config.image,
    cpus: config.cpus,
    memoryMib: config.memoryMib,
    diskMib: config.diskMib,
    hostname: config.hostname,
    labels: config.labels,
    detach: config.detach,
    ephemeral: config.ephemeral,
    createdAt: new Date(row.createdAtMs),
    startedAt: dateOf(state.startedAtMs),
    stoppedAt: shim === undefined ? dateOf(state.stoppedAtMs) : undefined,
    pid: shim?.pid,
    reason: state.reason,
    directory,
  }
}

function deadState(store: Store, row: BoxRow, directory: string): BoxState {
  if (row.status !== 'running') return row
  const state = stoppedState(row, directory)
  store.updateState(row.id, state)
  return state
}

const statuses: readonly BoxStatus[] = ['configured', 'running', 'paused', 'stopping', 'stopped', 'failed']

function statusOf(text: string): BoxStatus {
  return statuses.find(status => status === text) ?? 'unknown'
}

function dateOf(milliseconds: number | undefined): Date | undefined {
  return milliseconds === undefined ? undefined : new Date(milliseconds)
}
