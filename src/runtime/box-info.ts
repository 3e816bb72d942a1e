import { join } from 'node:path'
import { firstHealth, parseHealthRecord } from '../shim/health.ts'
import { parseRestartRecord } from '../shim/restart-policy.ts'
import { isActive } from '../state/box-status.ts'
import type { Home } from '../state/home.ts'
import type { BoxRow, Store } from '../state/store.ts'
import { type BoxConfig, decodeBoxConfig } from './box-config.ts'
import { startedImage } from './box-image.ts'
import { findShim } from './liveness.ts'
import type { BoxHealth, BoxInfo, BoxRestart } from './options.ts'
import { formatRestart, type HealthCheckConfig, healthCheckOf } from './policy-options.ts'
import { reconcile } from './reconcile.ts'

/** A row as users see it. What the row says of a run is checked against the pid file, and mended in the store if it is stale. */
export function boxInfo(home: Home, store: Store, stored: BoxRow): BoxInfo {
  const row = reconcile(home, store, stored)
  const config = decodeBoxConfig(row.id, row.config)
  const image = startedImage(store, row)
  const directory = join(home.boxes, row.id)
  const active = isActive(row.status)
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    image: config.image,
    imageDigest: row.imageDigest,
    cpus: config.cpus,
    memoryMib: config.memoryMib,
    diskMib: config.diskMib,
    hostname: config.hostname,
    labels: { ...image?.labels, ...config.labels },
    exposedPorts: image?.exposedPorts ?? [],
    detach: config.detach,
    ephemeral: config.ephemeral,
    createdAt: new Date(row.createdAtMs),
    startedAt: dateOf(row.startedAtMs),
    stoppedAt: active ? undefined : dateOf(row.stoppedAtMs),
    pid: findShim(directory, row.id)?.pid,
    reason: active ? undefined : row.reason,
    cause: active ? undefined : row.cause,
    exitCode: active ? undefined : row.exitCode,
    health: healthOf(healthCheckOf(config, image), row, active),
    restart: restartOf(config, row),
    idleTimeoutMs: config.idleTimeoutMs,
    maxDurationMs: config.maxDurationMs,
    directory,
  }
}

function healthOf(check: HealthCheckConfig | undefined, row: BoxRow, active: boolean): BoxHealth {
  if (!active || check === undefined)
    return { status: 'none', failures: 0, lastCheckAt: undefined, lastOutput: undefined }
  const { status, failures, lastCheckAtMs, lastOutput } = parseHealthRecord(row.health) ?? firstHealth
  return { status, failures, lastCheckAt: dateOf(lastCheckAtMs), lastOutput }
}

function restartOf(config: BoxConfig, row: BoxRow): BoxRestart {
  const record = parseRestartRecord(row.restart)
  return {
    policy: formatRestart(config.restart),
    count: record?.count ?? 0,
    cause: record?.cause,
    lastAt: dateOf(record?.lastAtMs),
    nextAt: dateOf(record?.nextAtMs),
  }
}

function dateOf(milliseconds: number | undefined): Date | undefined {
  return milliseconds === undefined ? undefined : new Date(milliseconds)
}
