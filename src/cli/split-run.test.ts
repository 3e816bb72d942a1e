import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { addProcessOptions } from './process-options.ts'
import { splitRun } from './split-run.ts'

/** What the parser makes of `run …`, as the program is set up. */
function parse(words: string[]) {
  const commandLine = ['run', ...words]
  const program = new Command().enablePositionalOptions()
  const run = addProcessOptions(
    program.command('run').argument('[IMAGE]').argument('[CMD...]').passThroughOptions(),
  )
  run.action(() => {})
  program.parse(commandLine, { from: 'user' })
  return { ...splitRun(commandLine, run.args), options: run.opts() }
}

const cases: readonly (readonly [line: string, image: string | undefined, command: string])[] = [
  ['', undefined, ''],
  ['--', undefined, ''],
  ['-- uname -a', undefined, 'uname -a'],
  ['alpine', 'alpine', ''],
  ['alpine --', 'alpine', ''],
  ['alpine echo hi', 'alpine', 'echo hi'],
  ['alpine -- echo hi', 'alpine', 'echo hi'],
  ['alpine -- echo -- hi', 'alpine', 'echo -- hi'],
  ['alpine echo -- hi', 'alpine', 'echo -- hi'],
  ['-- echo -- hi', undefined, 'echo -- hi'],
  ['-- -- hi', undefined, '-- hi'],
  ['-i -w /tmp -- ls -l', undefined, 'ls -l'],
  ['-i -w /tmp alpine ls -i -t', 'alpine', 'ls -i -t'],
  ['-e A=1 alpine -- ls --env B', 'alpine', 'ls --env B'],
]

for (const [line, image, command] of cases) {
  test(`run ${line}`, () => {
    const parsed = parse(line.split(' ').filter(Boolean))
    assert.equal(parsed.image, image)
    assert.equal(parsed.command.join(' '), command)
    assert.equal(parsed.options['tty'], undefined)
  })
}

test('an empty argument of the command stays one', () => {
  assert.deepEqual(parse(['--', 'echo', '', ' ']).command, ['echo', '', ' '])
})
