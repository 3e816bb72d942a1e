import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCofferError } from '../errors.ts'
import { type BoxStatus, boxStatuses, isActive, parseStatus, transitionEvent } from './box-status.ts'

/** From each status, where it leads. */
const allowed: Readonly<Record<BoxStatus, readonly BoxStatus[]>> = {
  configured: ['running', 'stopped', 'failed'],
  running: ['paused', 'stopping', 'stopped', 'failed'],
  paused: ['running', 'stopping', 'stopped', 'failed'],
  stopping: ['stopped', 'failed'],
  stopped: ['running', 'failed'],
  failed: ['running', 'stopped', 'failed'],
  unknown: ['running', 'stopping', 'stopped', 'failed'],
}

test('a change of status is one of the table, or invalid_state naming both', () => {
  for (const from of boxStatuses)
    for (const to of boxStatuses) {
      const change = (): string => transitionEvent('web', from, to)
      if (allowed[from].includes(to))
        assert.match(change(), /^(started|resumed|paused|stopping|stopped|failed)$/)
      else
        assert.throws(change, error => {
          assert.ok(isCofferError(error, 'invalid_state'))
          assert.ok(error.message.includes(from) && error.message.includes(to))
          return true
        })
    }
})

test('the same status is reached by other events', () => {
  assert.equal(transitionEvent('web', 'stopped', 'running'), 'started')
  assert.equal(transitionEvent('web', 'paused', 'running'), 'resumed')
})

test('a box has a VM while it runs, is paused or stops', () => {
  assert.deepEqual(boxStatuses.filter(isActive), ['running', 'paused', 'stopping'])
})

test('a status that a newer version wrote is unknown', () => {
  assert.equal(parseStatus('hibernating'), 'unknown')
  assert.equal(parseStatus('paused'), 'paused')
})
