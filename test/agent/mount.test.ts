import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ExecutionRefused } from '../../src/guest/remote-execution.ts'
import { Guest } from './guest.ts'

let guest: Guest
before(async () => {
  guest = await Guest.restore()
})
after(() => guest[Symbol.asyncDispose]())

test('a box that has been configured mounts nothing more', async () => {
  await assert.rejects(
    guest.request('mount', { files: ['/bin/sh'] }),
    (error: unknown) => error instanceof ExecutionRefused && error.failure.kind === 'invalid_state',
  )
  assert.equal((await guest.collect({ argv: ['echo', 'unharmed'] })).stdout.toString(), 'unharmed\n')
})
