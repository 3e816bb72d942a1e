import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { eventually, processesOf } from './home.ts'

// The last file of the suite, by its name: the others have ended.

test('the suite leaves no process', async () => {
  await eventually('no process of a test home is left', () => processesOf('/coffer-').length === 0).catch(
    () => {
      assert.deepEqual(processesOf('/coffer-'), [])
    },
  )
})

test('the suite leaves no mount and no file', () => {
  assert.doesNotMatch(readFileSync('/proc/self/mounts', 'utf8'), /\/coffer-/)
  assert.deepEqual(
    readdirSync(tmpdir()).filter(name =>
      /^coffer-(test|cli|template|small|long|store|lock|home|qcow2|probe)-/.test(name),
    ),
    [],
  )
})
