import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeScopes } from './scopes.ts'

test('scopes for one thing become one, in one order, and others stay', () => {
  const app = 'repository:team/app'
  assert.deepEqual(mergeScopes([`${app}:push,pull`, `${app}:pull`, 'repository:team/other:pull']), [
    `${app}:pull,push`,
    'repository:team/other:pull',
  ])
  assert.deepEqual(mergeScopes(['repository:host:5000/a:pull', 'repository:host:5000/a:push']), [
    'repository:host:5000/a:pull,push',
  ])
  assert.deepEqual(mergeScopes(['registry:catalog:*']), ['registry:catalog:*'])
  assert.deepEqual(mergeScopes([]), [])
})
