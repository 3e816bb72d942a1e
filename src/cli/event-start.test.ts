import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEventStart } from './event-start.ts'

const now = new Date('2030-01-01T01:00:00Z')

test('a number is a cursor, anything else a moment', () => {
  assert.deepEqual(parseEventStart('0', now), { cursor: 0 })
  assert.deepEqual(parseEventStart('123', now), { cursor: 123 })
  assert.deepEqual(parseEventStart('10m', now), { since: new Date('2030-01-01T00:50:00Z') })
  assert.deepEqual(parseEventStart('2029-12-31T00:00:00Z', now), { since: new Date('2029-12-31T00:00:00Z') })
})

test('what is neither is refused, with both named', () => {
  for (const text of ['', '-1', '1d', 'soon'])
    assert.throws(() => parseEventStart(text, now), {
      code: 'commander.invalidArgument',
      message: /cursor.*10m/,
    })
  assert.throws(() => parseEventStart('9'.repeat(20), now), { code: 'commander.invalidArgument' })
})
