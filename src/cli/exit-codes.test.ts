import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CofferError } from '../errors.ts'
import { exitCodeOfError, exitCodeOfResult, exitCodeOfSignal } from './exit-codes.ts'

test("a command's own code is passed on, and signal N becomes 128 + N", () => {
  assert.equal(exitCodeOfResult({ exitCode: 0 }), 0)
  assert.equal(exitCodeOfResult({ exitCode: 255 }), 255)
  assert.equal(exitCodeOfResult({ exitCode: -9 }), 137)
  assert.equal(exitCodeOfSignal('SIGTERM'), 143)
})

test('a command that is not found is 127, one that cannot be executed 126, anything else of ours 125', () => {
  const codes = {
    not_found: 127,
    not_executable: 126,
    bad_interpreter: 126,
    bad_cwd: 125,
    bad_user: 125,
    unheard_of: 125,
  }
  for (const [kind, code] of Object.entries(codes)) {
    assert.equal(exitCodeOfError(new CofferError('execution_failed', 'x', { details: { kind } })), code, kind)
  }
  assert.equal(exitCodeOfError(new CofferError('not_found', 'no such box')), 125)
  assert.equal(exitCodeOfError(new TypeError('x')), 125)
})
