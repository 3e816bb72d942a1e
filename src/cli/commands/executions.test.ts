import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExecutionInfo, Result } from '../../runtime/options.ts'
import { formatExecutions } from './executions.ts'

const startedAt = new Date('2030-01-01T00:00:00Z')
const now = new Date('2030-01-01T00:01:00Z')
const running: ExecutionInfo = {
  id: 'abcdefghijkl',
  command: ['sh', '-c', 'echo\n\u001b[2J'],
  pid: 7,
  startedAt,
  attached: false,
  tty: true,
  result: undefined,
}
const result: Result = {
  exitCode: 3,
  ok: false,
  signal: undefined,
  timedOut: false,
  outOfMemory: false,
  durationMs: 1,
}

function status(info: Partial<ExecutionInfo>): string {
  const line = formatExecutions([{ ...running, command: ['x'], ...info }], {}, now).split('\n')[1] ?? ''
  return line.split(/ {2,}/)[2] ?? ''
}

test('a table has one line for each execution', () => {
  const [title, line, ...rest] = formatExecutions([running], {}, now).split('\n')
  assert.match(title ?? '', /^ID +PID +STATUS +TTY +STARTED +COMMAND$/)
  assert.match(line ?? '', /^abcdefghijkl {2}7 +running +yes +1 minute ago +sh -c echo \u{fffd}\[2J$/u)
  assert.deepEqual(rest, [''])
})

test('the status says whether somebody is attached, and how it ended', () => {
  assert.equal(status({ attached: true }), 'attached')
  assert.equal(status({ result }), 'exited (3)')
  assert.equal(status({ result: { ...result, exitCode: -9, signal: 'SIGKILL' } }), 'SIGKILL')
  assert.equal(
    status({ result: { ...result, exitCode: -9, signal: 'SIGKILL', timedOut: true } }),
    'timed out',
  )
  assert.equal(status({ result: { ...result, outOfMemory: true } }), 'out of memory')
})

test('-q prints ids, --json an array', () => {
  assert.equal(formatExecutions([running], { quiet: true }), 'abcdefghijkl\n')
  assert.equal(JSON.parse(formatExecutions([running], { json: true }))[0].startedAt, startedAt.toISOString())
  assert.deepEqual(JSON.parse(formatExecutions([], { json: true })), [])
})
