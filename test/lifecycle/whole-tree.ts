import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { identify } from '../../src/state/process-identity.ts'
import { eventually, processesOf } from '../home.ts'

/** How long what a box left may take to go. */
export const reapDeadlineMs = 5_000

/** Fails unless soon no process mentions the box, and neither its socket nor a mount of its home is there. */
export async function assertReaped(home: string, boxId: string): Promise<void> {
  await eventually(
    'no process mentions the box',
    () => processesOf(boxId).length === 0,
    reapDeadlineMs,
  ).catch(error => assert.fail(`${error.message}\n${processesOf(boxId).join('\n')}`))
  assert.ok(!existsSync(join(home, 'boxes', boxId, 'shim.sock')), 'its socket is still there')
  assert.ok(!existsSync(join(home, 'boxes', boxId, 'shim.pid')), 'its pid file is still there')
  assert.ok(!readFileSync('/proc/mounts', 'utf8').includes(home), 'a mount of the home is still there')
}

/** Fails when anything of a removed box is in the home. */
export async function assertGone(home: string, boxId: string): Promise<void> {
  await assertReaped(home, boxId)
  for (const directory of ['boxes', 'locks', 'tmp'])
    assert.deepEqual(
      readdirSync(join(home, directory)).filter(name => name.includes(boxId)),
      [],
      `of the box, in ${directory}`,
    )
}

/** Waits until a process that was killed is gone. It loses its command line some time before. */
export async function processEnds(pid: number): Promise<void> {
  await eventually(`process ${pid} is gone`, () => identify(pid) === undefined)
}

/** Pids of the box's shims and of its VMMs, the jail's own processes left out. */
export function engineOf(boxId: string): { readonly shims: number[]; readonly vmms: number[] } {
  const lines = processesOf(boxId)
  const pids = (pattern: RegExp): number[] =>
    lines.filter(line => pattern.test(line)).map(line => Number.parseInt(line, 10))
  return {
    shims: pids(new RegExp(`^\\d+ coffer-shim ${boxId} `)),
    vmms: pids(/^\d+ \S*qemu-system-\S+ -name /),
  }
}
