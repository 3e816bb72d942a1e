import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatJson } from './json.ts'

test('no text in JSON can make a terminal do anything, and all of it is there when it is read', () => {
  const value = { '\u009b31m': ['\u001b]0;title\u0007', '\u202egnp.exe', 'ä\n'] }
  const text = formatJson(value)
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
  assert.deepEqual(JSON.parse(text), value)
})
