import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { addPolicyOptions, type PolicyShape, policyOptions } from './policy-options.ts'
import { UsageError } from './usage-error.ts'

function parse(...words: readonly string[]) {
  const command = addPolicyOptions(
    new Command('test').exitOverride().configureOutput({ outputError: () => {} }),
  )
  return policyOptions(command.parse([...words], { from: 'user' }).opts<PolicyShape>())
}

test('without a flag nothing is said, and the library decides', () => {
  assert.deepEqual(parse(), {})
})

test('restart policies and times are passed on', () => {
  for (const policy of ['no', 'on-failure', 'on-failure:3', 'always', 'unless-stopped'])
    assert.deepEqual(parse('--restart', policy), { restart: policy })
  assert.deepEqual(parse('--idle-timeout', '10m', '--max-duration', '1.5s'), {
    idleTimeoutMs: 600_000,
    maxDurationMs: 1500,
  })
})

test('a health check is a command or a port, and its times', () => {
  assert.deepEqual(parse('--health-cmd', 'true'), { healthCheck: { command: 'true' } })
  const times = [
    '--health-interval',
    '5',
    '--health-timeout',
    '1s',
    '--health-retries',
    '2',
    '--health-start-period',
    '0',
  ]
  assert.deepEqual(parse('--health-port', '80', ...times), {
    healthCheck: { port: 80, intervalMs: 5000, timeoutMs: 1000, retries: 2, startPeriodMs: 0 },
  })
  assert.throws(() => parse('--health-cmd', 'true', '--health-port', '80'), UsageError)
  assert.throws(() => parse(...times), UsageError)
})

test('what is no policy is refused', () => {
  const wrong = [
    ['--restart', 'sometimes'],
    ['--restart', 'always:3'],
    ['--restart', 'on-failure:-1'],
    ['--restart', 'on-failure:'],
    ['--idle-timeout', '0'],
    ['--max-duration', 'soon'],
    ['--health-port', '0'],
    ['--health-retries', '0'],
  ]
  for (const words of wrong)
    assert.throws(() => parse(...words), { code: 'commander.invalidArgument' }, words.join(' '))
})

test('no health check at all excludes settings of one; a stop signal is a signal', () => {
  assert.deepEqual(parse('--no-healthcheck', '--stop-signal', 'int'), { healthCheck: 'none', stopSignal: 2 })
  assert.throws(() => parse('--no-healthcheck', '--health-cmd', 'true'), UsageError)
  assert.throws(() => parse('--no-healthcheck', '--health-retries', '2'), UsageError)
  assert.throws(() => parse('--stop-signal', 'NOTHING'), { code: 'commander.invalidArgument' })
})
