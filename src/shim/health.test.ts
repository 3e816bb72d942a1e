import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstHealth, nextHealth, parseHealthRecord } from './health.ts'

const policy = {
  probe: { kind: 'port', port: 80 },
  intervalMs: 1,
  timeoutMs: 1,
  retries: 3,
  startPeriodMs: 100,
} as const
const good = { ok: true, output: 'fine' }
const bad = { ok: false, output: 'why' }
const early = { ranMs: 50, atMs: 1 }
const late = { ranMs: 200, atMs: 2 }

test('failures within the start period leave a box starting, one success makes it healthy', () => {
  const failed = nextHealth(policy, firstHealth, bad, early)
  assert.deepEqual(failed, { status: 'starting', failures: 0, lastCheckAtMs: 1, lastOutput: 'why' })
  assert.equal(nextHealth(policy, failed, good, early).status, 'healthy')
})

test('a healthy box becomes unhealthy at the last of its failures in a row, also within the start period', () => {
  let health = nextHealth(policy, firstHealth, good, early)
  const statuses = [bad, bad, good, bad, bad, bad, bad].map(result => {
    health = nextHealth(policy, health, result, early)
    return health.status
  })
  assert.deepEqual(statuses, [
    'healthy',
    'healthy',
    'healthy',
    'healthy',
    'healthy',
    'unhealthy',
    'unhealthy',
  ])
  assert.equal(health.failures, 4)
  assert.equal(nextHealth(policy, health, good, late).status, 'healthy')
})

test('a box that never was healthy becomes unhealthy after its start period', () => {
  let health = firstHealth
  for (let check = 0; check < 3; check++) health = nextHealth(policy, health, bad, late)
  assert.equal(health.status, 'unhealthy')
})

test('a record that is none is none', () => {
  assert.equal(parseHealthRecord(undefined), undefined)
  assert.equal(parseHealthRecord('{"status":"dancing"}'), undefined)
  assert.equal(parseHealthRecord('{"status":"healthy"}')?.failures, 0)
})
