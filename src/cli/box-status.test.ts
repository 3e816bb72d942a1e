import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BoxInfo } from '../runtime/options.ts'
import { now, runningBox } from './box-fixture.ts'
import { describeStatus, isAtWork } from './box-status.ts'

const { health, restart } = runningBox
const stopped: Partial<BoxInfo> = {
  status: 'stopped',
  stoppedAt: new Date('2030-01-01T00:58:00Z'),
  reason: 'the box was stopped',
}
const waiting: Partial<BoxInfo> = {
  ...stopped,
  restart: { ...restart, nextAt: new Date('2030-01-01T01:00:03.1Z') },
}

function status(info: Partial<BoxInfo>): string {
  return describeStatus({ ...runningBox, ...info }, now)
}

test('a box that runs says for how long, and how it is if it is checked', () => {
  assert.equal(status({}), 'running 30 seconds')
  assert.equal(status({ health: { ...health, status: 'starting' } }), 'running 30 seconds (health: starting)')
  assert.equal(status({ health: { ...health, status: 'healthy' } }), 'running 30 seconds (healthy)')
  assert.equal(status({ health: { ...health, status: 'unhealthy' } }), 'running 30 seconds (unhealthy)')
})

test('a box that stopped says when, and how its main process ended', () => {
  assert.equal(status(stopped), 'stopped 2 minutes ago')
  assert.equal(status({ ...stopped, cause: 'main_exited', exitCode: 3 }), 'stopped 2 minutes ago (exit 3)')
  assert.equal(status({ ...stopped, cause: 'main_exited', exitCode: -9 }), 'stopped 2 minutes ago (exit 137)')
  assert.equal(status({ ...stopped, status: 'failed', reason: undefined }), 'failed 2 minutes ago')
})

test('a box that waits to be started again says how long, unless that is overdue', () => {
  assert.equal(status(waiting), 'restarting in 4 s')
  assert.equal(status({ ...stopped, restart: { ...restart, nextAt: now } }), 'restarting')
})

test('other statuses are a word', () => {
  for (const word of ['configured', 'paused', 'stopping', 'unknown'] as const)
    assert.equal(status({ status: word }), word)
})

test('at work is what runs, stands still, is about to end, or is about to be started again', () => {
  const isBusy = (info: Partial<BoxInfo>) => isAtWork({ ...runningBox, ...info })
  for (const each of ['running', 'paused', 'stopping'] as const) assert.ok(isBusy({ status: each }), each)
  for (const each of ['configured', 'stopped', 'failed', 'unknown'] as const)
    assert.ok(!isBusy({ status: each }), each)
  assert.ok(isBusy(waiting))
})
