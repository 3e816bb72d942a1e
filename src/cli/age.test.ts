import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAge, formatSpan } from './age.ts'

test('an age is told in its largest unit, and never negative', () => {
  const now = new Date('2030-01-10T00:00:00Z')
  const ages = {
    0: '0 seconds ago',
    1: '1 second ago',
    59: '59 seconds ago',
    60: '1 minute ago',
    7200: '2 hours ago',
    259200: '3 days ago',
  }
  for (const [seconds, text] of Object.entries(ages)) {
    assert.equal(formatAge(new Date(now.getTime() - Number(seconds) * 1000), now), text)
  }
  assert.equal(formatAge(new Date(now.getTime() + 5000), now), '0 seconds ago')
})

test('a span is an age without its direction', () => {
  const from = new Date('2030-01-10T00:00:00Z')
  assert.equal(formatSpan(from, new Date('2030-01-10T00:03:59Z')), '3 minutes')
  assert.equal(formatSpan(from, new Date('2030-01-09T00:00:00Z')), '0 seconds')
})
