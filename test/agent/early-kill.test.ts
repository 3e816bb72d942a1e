import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { signalTargets } from '../../src/guest/protocol.ts'
import { Guest } from './guest.ts'

let guest: Guest
before(async () => {
  guest = await Guest.restore()
})
after(() => guest[Symbol.asyncDispose]())

const sigkill = 9

for (const builtin of [undefined, 'diff'] as const)
  test(`what is killed before it could say its pid has run and ended (${builtin ?? 'a command'})`, async () => {
    for (let round = 0; round < 40; round++) {
      const execution = guest.execute(builtin === undefined ? { argv: ['true'] } : { builtin })
      execution.signal(sigkill, signalTargets.tree)
      execution.discard()
      assert.ok((await execution.started).pid > 0)
      assert.ok([0, -sigkill].includes((await execution.exited).code))
    }
  })
