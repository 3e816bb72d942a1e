import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSince } from './since.ts'

const now = new Date('2030-01-01T01:00:00Z')

test('a moment is how long ago it was, or a time in RFC 3339', () => {
  assert.equal(parseSince('10m', now).toISOString(), '2030-01-01T00:50:00.000Z')
  assert.equal(parseSince('1.5s', now).toISOString(), '2030-01-01T00:59:58.500Z')
  assert.equal(parseSince('2029-12-31T23:59:59.5Z', now).toISOString(), '2029-12-31T23:59:59.500Z')
  assert.equal(parseSince('2030-01-01T02:00:00+02:00', now).toISOString(), '2030-01-01T00:00:00.000Z')
})

test('what is neither is refused', () => {
  for (const text of ['', 'soon', '2030-01-01', '2030-01-01T00:00:00', '2030-13-01T00:00:00Z', '-10m'])
    assert.throws(() => parseSince(text, now), { code: 'commander.invalidArgument' }, text)
})
