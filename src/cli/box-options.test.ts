import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectLabel } from './box-options.ts'

test('labels add up, a later one wins, and a key alone has no value', () => {
  const labels = ['a=1', 'b', 'c=x=y', 'a=2'].reduce<Readonly<Record<string, string>> | undefined>(
    (before, text) => collectLabel(text, before),
    undefined,
  )
  assert.deepEqual(labels, { a: '2', b: '', c: 'x=y' })
})

test('a label needs a key', () => {
  for (const text of ['', '=1'])
    assert.throws(() => collectLabel(text), { code: 'commander.invalidArgument' })
})
