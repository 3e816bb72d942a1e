import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
  // What an interrupted suite before this one left is not ours.
  const since = startOf(process.ppid)
  const names = readdirSync(tmpdir()).filter(name =>
    /^coffer-(test|cli|template|small|long|store|lock|home|qcow2|probe|registry|settings)-/.test(name),
  )
  assert.deepEqual(
    names.filter(name => statSync(join(tmpdir(), name)).birthtimeMs >= since),
    [],
  )
})

/** When a process began, in milliseconds: proc(5), field 22 in hundredths of a second since the boot. */
function startOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  const bootSeconds = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1])
  return (bootSeconds + ticks / 100) * 1000
}
