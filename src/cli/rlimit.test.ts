import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectRlimit } from './rlimit.ts'

test('one value is for both limits, two are soft and hard, and several limits add up', () => {
  const limits = collectRlimit('core=unlimited', collectRlimit('NPROC=10', collectRlimit('nofile=1024:2048')))
  assert.deepEqual(limits, { nofile: { soft: 1024, hard: 2048 }, nproc: 10, core: 'unlimited' })
})

test('what is no limit is refused', () => {
  for (const text of ['', 'nofile', 'nofile=', 'nofile=x', 'nofile=1:2:3', 'nofile=1.5', 'no file=1']) {
    assert.throws(() => collectRlimit(text), { code: 'commander.invalidArgument' }, text)
  }
})
