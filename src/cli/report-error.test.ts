import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CofferError } from '../errors.ts'
import { formatError } from './report-error.ts'
import { UsageError } from './usage-error.ts'

const stream = Object.assign(Object.create(process.stderr), { isTTY: false })
const terminal = Object.assign(Object.create(process.stderr), { isTTY: true })

test('an error is its message, and its hint on a line of its own', () => {
  const error = new CofferError('not_found', 'no box web', { hint: 'coffer ps -a lists them' })
  assert.equal(
    formatError(error, { debug: false, stream }),
    'coffer: no box web\n  hint: coffer ps -a lists them\n',
  )
})

test('an error of usage shows how the command is used', () => {
  const text = formatError(new UsageError('no command to run'), {
    debug: false,
    usage: 'coffer exec BOX CMD',
    stream,
  })
  assert.equal(text, 'coffer: no command to run\n  usage: coffer exec BOX CMD\n')
})

test('the stack and the cause are shown with --debug only', () => {
  const error = new CofferError('internal', 'x', { cause: new Error('the cause') })
  assert.doesNotMatch(formatError(error, { debug: false, stream }), /the cause|\.ts:/)
  assert.match(formatError(error, { debug: true, stream }), /the cause[\s\S]*report-error\.test/)
})

test('text of a guest reaches the terminal without its control characters', () => {
  const text = formatError(new CofferError('internal', 'bad\u001b]0;title\u0007\rname'), {
    debug: false,
    stream,
  })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f]/)
})

test('colour is for terminals, and NO_COLOR turns it off', t => {
  const before = process.env['NO_COLOR']
  t.after(() => {
    if (before === undefined) delete process.env['NO_COLOR']
    else process.env['NO_COLOR'] = before
  })
  delete process.env['NO_COLOR']
  assert.ok(formatError(new Error('x'), { debug: false, stream: terminal }).includes('\u001b[31m'))
  process.env['NO_COLOR'] = '1'
  assert.ok(!formatError(new Error('x'), { debug: false, stream: terminal }).includes('\u001b'))
})
