import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BoxInfo } from '../../runtime/options.ts'
import { formatBoxes } from './ps.ts'

const now = new Date('2030-01-01T01:00:00Z')
const box: BoxInfo = {
  id: 'abcdefghijkl',
  name: 'web',
  status: 'running',
  image: 'busybox',
  cpus: 1,
  memoryMib: 512,
  diskMib: 10_240,
  hostname: 'web',
  labels: {},
  detach: true,
  ephemeral: false,
  createdAt: new Date('2030-01-01T00:00:00Z'),
  startedAt: new Date('2030-01-01T00:59:30Z'),
  stoppedAt: undefined,
  pid: 1,
  reason: undefined,
  health: { status: 'none', failures: 0, lastCheckAt: undefined, lastOutput: undefined },
  restart: { policy: 'no', count: 0, cause: undefined, lastAt: undefined, nextAt: undefined },
  idleTimeoutMs: undefined,
  maxDurationMs: undefined,
  directory: '/home',
}

test('a table has one line for each box, with its state and since when', () => {
  const [title, line, ...rest] = formatBoxes([box], {}, now).split('\n')
  assert.match(title ?? '', /^ID +NAME +IMAGE +STATUS +CPUS +MEMORY +CREATED$/)
  assert.match(
    line ?? '',
    /^abcdefghijkl {2}web {3}busybox {2}running \(30 seconds ago\) {2}1 +512 MiB {2}1 hour ago$/,
  )
  assert.deepEqual(rest, [''])
})

test('-q prints ids, --json an array, also of nothing', () => {
  assert.equal(formatBoxes([box, box], { quiet: true }), 'abcdefghijkl\nabcdefghijkl\n')
  assert.equal(formatBoxes([], { quiet: true }), '')
  assert.deepEqual(JSON.parse(formatBoxes([], { json: true })), [])
  assert.equal(JSON.parse(formatBoxes([box], { json: true }))[0].createdAt, '2030-01-01T00:00:00.000Z')
})
