import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatRemoved } from './prune.ts'

test('what was removed is named, by its id where it has no name', () => {
  const removed = [
    { id: 'abcdefghijkl', name: 'web' },
    { id: 'mnopqrstuvwx', name: undefined },
  ]
  assert.equal(formatRemoved(removed, {}), 'web\nmnopqrstuvwx\n')
  assert.deepEqual(JSON.parse(formatRemoved(removed, { json: true })), [
    { id: 'abcdefghijkl', name: 'web' },
    { id: 'mnopqrstuvwx' },
  ])
  assert.deepEqual(JSON.parse(formatRemoved([], { json: true })), [])
})
