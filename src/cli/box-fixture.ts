import type { BoxInfo } from '../runtime/options.ts'

/** A box that runs, made an hour before `now` and started 30 seconds before it. */
export const now = new Date('2030-01-01T01:00:00Z')

export const runningBox: BoxInfo = {
  id: 'abcdefghijkl',
  name: 'web',
  status: 'running',
  image: 'busybox',
  imageDigest: undefined,
  cpus: 1,
  memoryMib: 512,
  diskMib: 10_240,
  hostname: 'web',
  labels: {},
  exposedPorts: [],
  detach: true,
  ephemeral: false,
  createdAt: new Date('2030-01-01T00:00:00Z'),
  startedAt: new Date('2030-01-01T00:59:30Z'),
  stoppedAt: undefined,
  pid: 1,
  reason: undefined,
  cause: undefined,
  exitCode: undefined,
  health: { status: 'none', failures: 0, lastCheckAt: undefined, lastOutput: undefined },
  restart: { policy: 'no', count: 0, cause: undefined, lastAt: undefined, nextAt: undefined },
  idleTimeoutMs: undefined,
  maxDurationMs: undefined,
  directory: '/home',
}
