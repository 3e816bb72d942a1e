import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExitCause, type ExitRecord, exitCauses } from './exit-file.ts'
import { parseRestartRecord, planRestart } from './restart-policy.ts'

const ended = (cause: ExitCause, code = 1): ExitRecord => ({
  cause,
  message: '',
  exitCode: 0,
  signal: undefined,
  stderr: '',
  atMs: 0,
  main: { code, timedOut: false, outOfMemory: false, durationMs: 1 },
})
const after = (record: ExitRecord, count = 0, ranMs = 10) => ({
  record,
  ranMs,
  before: count === 0 ? undefined : { count, cause: 'vm_died' },
})

test('what somebody or a policy wanted is never followed by a restart', () => {
  for (const cause of ['stopped', 'killed', 'orphaned', 'idle', 'max_duration'] as const)
    assert.equal(planRestart({ condition: 'always' }, after(ended(cause))), undefined)
})

test('always follows every other end, no none', () => {
  const others = exitCauses.filter(
    cause => !['stopped', 'killed', 'orphaned', 'idle', 'max_duration'].includes(cause),
  )
  for (const cause of others) {
    assert.equal(planRestart({ condition: 'always' }, after(ended(cause)))?.count, 1)
    assert.equal(planRestart({ condition: 'unless-stopped' }, after(ended(cause)))?.count, 1)
    assert.equal(planRestart({ condition: 'no' }, after(ended(cause))), undefined)
  }
})

test('on-failure follows failures only, and not more often in a row than it may', () => {
  const policy = { condition: 'on-failure', maxRetries: 2 } as const
  assert.equal(planRestart(policy, after(ended('main_exited', 0))), undefined)
  assert.equal(planRestart(policy, after(ended('guest_shutdown'))), undefined)
  assert.equal(planRestart(policy, after(ended('main_exited', -9)))?.count, 1)
  assert.equal(planRestart(policy, after(ended('vm_died'), 1))?.count, 2)
  assert.equal(planRestart(policy, after(ended('vm_died'), 2)), undefined)
  assert.equal(planRestart({ ...policy, maxRetries: 0 }, after(ended('vm_died'))), undefined)
})

test('the waits double up to a minute, and begin anew after a run of ten seconds', () => {
  const waits = Array.from({ length: 12 }, (_, count) =>
    planRestart({ condition: 'always' }, after(ended('vm_died'), count)),
  ).map(plan => plan?.delayMs)
  assert.deepEqual(waits.slice(0, 5), [100, 200, 400, 800, 1600])
  assert.deepEqual(waits.slice(-2), [60_000, 60_000])
  assert.deepEqual(planRestart({ condition: 'always' }, after(ended('vm_died'), 9, 10_000)), {
    count: 1,
    delayMs: 100,
  })
})

test('a record that is none is none', () => {
  assert.equal(parseRestartRecord(undefined), undefined)
  assert.equal(parseRestartRecord('{}'), undefined)
  assert.equal(parseRestartRecord('{"count":2,"cause":"vm_died"}')?.count, 2)
})
