import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const script = join(import.meta.dirname, '../../scripts/setup.sh')
const directory = mkdtempSync(join(tmpdir(), 'coffer-setup-'))
after(() => rmSync(directory, { recursive: true }))
chmodSync(directory, 0o755)

// Root's checkout may lie where nobody else can read; then there is no ordinary user to try it with.
const asUser = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []
const [reader = 'test', ...readerArgs] = [...asUser, 'test', '-r', script]
const skip = spawnSync(reader, readerArgs).status === 0 ? false : 'the checkout is private to root'

/** The set-up of an ordinary user for whom sudo does nothing, with these programs before all others. */
function setUpAsOrdinaryUser(programs: Readonly<Record<string, string>>, build: string) {
  for (const [name, text] of Object.entries({ sudo: 'exit 1', ...programs })) {
    writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  }
  const [command = 'sh', ...args] = [...asUser, 'sh', script, '--quiet']
  return spawnSync(command, args, {
    env: { ...process.env, PATH: `${directory}:${process.env['PATH']}`, COFFER_BUILD_DIR: build },
    encoding: 'utf8',
  })
}

test('when nothing is missing the set-up says nothing and does nothing', () => {
  // What was edited since the last set-up is compiled by the first.
  spawnSync('sh', [script, '--quiet', '--with-tests'])
  const { status, stdout, stderr } = spawnSync('sh', [script, '--quiet', '--with-tests'], {
    encoding: 'utf8',
  })
  assert.deepEqual([status, stdout, stderr], [0, '', ''])
})

test('an ordinary user is told the one command line that an administrator must run', { skip }, () => {
  const { status, stderr } = setUpAsOrdinaryUser(
    { 'qemu-system-x86_64': 'echo "QEMU emulator version 7.2.0 (x)"' },
    tmpdir(),
  )
  assert.equal(status, 1)
  const commands = stderr.split('\n').filter(line => line.includes('apt-get install'))
  assert.equal(commands.length, 1)
  assert.match(commands[0] ?? '', /^ {2}sudo sh -c '.*qemu-system-x86'$/)
})

test('an option that does not exist is refused', () => {
  assert.equal(spawnSync('sh', [script, '--all']).status, 2)
})

test('a directory that cannot be made is named, and the way out', { skip }, () => {
  const { status, stderr } = setUpAsOrdinaryUser(
    { 'qemu-system-x86_64': 'echo "QEMU emulator version 9.0.0 (x)"' },
    '/proc/none',
  )
  assert.equal(status, 1)
  assert.match(stderr, /\/proc\/none[\s\S]*COFFER_BUILD_DIR/)
})
