import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const program = join(root, 'bin/coffer.js')
const nobody = 65534

// The suite runs as one user. Where that is root, this file is the other one.
const isRoot = process.getuid?.() === 0
const canRead = isRoot && asNobody(['test', '-r', join(root, 'package.json')], '/').status === 0
const skip = isRoot
  ? !canRead && 'the checkout lies where other users cannot read'
  : 'the whole suite runs as an ordinary user'

test('without root, without sudo and without a home of its own so far, a user runs a box', {
  skip,
  timeout: 120_000,
}, () => {
  const home = mkdtempSync(join(tmpdir(), 'coffer-cli-'))
  chownSync(home, nobody, nobody)
  try {
    const run = asNobody(
      [process.execPath, '--', program, 'run', '--', 'sh', '-c', 'id -u; uname -s; exit 6'],
      home,
    )
    assert.equal(run.stdout, '0\nLinux\n', run.stderr)
    assert.equal(run.status, 6)
    const doctor = asNobody([process.execPath, '--', program, 'doctor', '--json'], home)
    assert.equal(doctor.status, 0, doctor.stdout)
    const list = asNobody([process.execPath, '--', program, 'ps', '-aq'], home)
    assert.equal(list.stdout, '')
    const foreign = asNobody([process.execPath, '--', program, '--home', '/root/.coffer', 'ps'], home)
    assert.equal(foreign.status, 125)
    assert.match(foreign.stderr, /hint: /)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

function asNobody(
  words: readonly string[],
  home: string,
): { status: number | null; stdout: string; stderr: string } {
  const user = ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups', '--']
  return spawnSync('setpriv', [...user, ...words], {
    encoding: 'utf8',
    cwd: '/',
    env: { PATH: process.env['PATH'], COFFER_HOME: join(home, 'home'), HOME: home, NO_COLOR: '1' },
  })
}
