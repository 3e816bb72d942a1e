import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSignal } from './signal-option.ts'

test('a signal is a number or a name, with or without SIG', () => {
  for (const text of ['15', 'TERM', 'sigterm', 'SIGTERM']) assert.equal(parseSignal(text), 15, text)
  for (const text of ['', '0', '65', '-9', 'SIGNOTHING', '9x'])
    assert.throws(() => parseSignal(text), { code: 'commander.invalidArgument' }, text)
})
