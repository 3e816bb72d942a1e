import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BoxEvent } from '../runtime/options.ts'
import { formatEvent } from './event-line.ts'

const created: BoxEvent = {
  cursor: 7,
  at: new Date('2030-01-01T00:00:00.5Z'),
  boxId: 'abcdefghijkl',
  boxName: 'web',
  type: 'created',
  details: {},
}

function line(event: Partial<BoxEvent>): string {
  return formatEvent({ ...created, ...event })
}

/** What follows time, box and type. */
function details(event: Partial<BoxEvent>): string {
  return line({ boxName: undefined, ...event }).slice(26 + 14 + 14, -1)
}

test('an event is a line: time, box and type, without blanks at its end', () => {
  assert.equal(line({}), '2030-01-01T00:00:00.500Z  web           created\n')
  assert.equal(line({ boxName: undefined }), '2030-01-01T00:00:00.500Z  abcdefghijkl  created\n')
})

test('the details are those that people look for', () => {
  assert.equal(details({ type: 'starting' }), '')
  assert.equal(details({ type: 'starting', details: { restart: 2 } }), 'restart 2')
  assert.equal(
    details({ type: 'exec_started', details: { execution: 'main', command: 'sh -c x', pid: 2 } }),
    'main: sh -c x',
  )
  assert.equal(
    details({ type: 'exec_exited', details: { execution: 'main', exitCode: -9 } }),
    'main: exit 137',
  )
  assert.equal(
    details({ type: 'exec_exited', details: { execution: 'main', exitCode: null } }),
    'main: no exit code',
  )
  assert.equal(
    details({ type: 'health', details: { status: 'unhealthy', failures: 3 } }),
    'unhealthy, 3 failures in a row',
  )
  assert.equal(details({ type: 'health', details: { status: 'healthy', failures: 0 } }), 'healthy')
  assert.equal(details({ type: 'stopping', details: { cause: 'idle' } }), 'idle')
  assert.equal(
    details({
      type: 'stopped',
      details: { cause: 'stopped', exitCode: null, reason: 'the box was stopped' },
    }),
    'the box was stopped',
  )
  assert.match(line({ type: 'missed', boxId: '', details: { count: 12 } }), / - .* 12 events /)
})

test('what the box chose stays on its line and commands no terminal', () => {
  const command = 'echo\n\u001b[2J'
  assert.equal(
    details({ type: 'exec_started', details: { execution: 'main', command } }),
    'main: echo \u{fffd}[2J',
  )
})
