import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually, openTestHome, processesOf, smallBox } from '../home.ts'

// Whoever spawned the VMM is killed at any moment of its coming up, and nobody cleans up after it: what is gone, the kernel has ended.

const withinMs = 2_000

test('wherever the spawner of a VMM is killed, neither QEMU nor bubblewrap stays', async () => {
  let withQemu = 0
  for (let delayMs = 0; delayMs < 60; delayMs += 0.5) {
    const name = `coffer-lifeline-${process.pid}-${delayMs}`
    const spawner = start('vmm.fixture.ts', name)
    assert.ok(spawner.stdout)
    await once(spawner.stdout, 'data')
    spin(delayMs)
    if (qemuOf(name) !== undefined) withQemu += 1
    spawner.kill('SIGKILL')
    await once(spawner, 'exit')
    await eventually(`nothing of ${name} is left`, () => processesOf(name).length === 0, withinMs)
  }
  // The sweep went from before the first process to long after the last.
  assert.ok(withQemu > 10 && withQemu < 115, `${withQemu}`)
})

test('wherever the shim of a box is killed, with its runtime, neither QEMU nor bubblewrap stays', async () => {
  await using home = await openTestHome()
  await (await home.runtime.create(smallBox, 'warm')).start()
  for (let delayMs = 0; delayMs < 60; delayMs += 3) {
    const name = `killed-${delayMs}`
    const { directory, id } = await (await home.runtime.create(smallBox, name)).info()
    const owner = start('box.fixture.ts', home.path, name)
    const pidFile = join(directory, 'shim.pid')
    await eventually('the shim has begun', () => existsSync(pidFile))
    const { pid } = JSON.parse(readFileSync(pidFile, 'utf8'))
    spin(delayMs)
    owner.kill('SIGKILL')
    process.kill(pid, 'SIGKILL')
    await eventually(`nothing of ${name} is left`, () => processesOf(id).length === 0, withinMs)
  }
})

test('when bubblewrap alone is killed, what it started ends', async () => {
  const name = `coffer-lifeline-${process.pid}-alone`
  const spawner = start('vmm.fixture.ts', name)
  await eventually('QEMU runs', () => qemuOf(name) !== undefined)
  const bubblewrap = processesOf(name).find(line => /^\d+ \S*bwrap/.test(line))
  process.kill(Number.parseInt(bubblewrap ?? '', 10), 'SIGKILL')
  await once(spawner, 'exit')
  await eventually('nothing is left', () => processesOf(name).length === 0, withinMs)
})

function start(fixture: string, ...parameters: string[]): ChildProcess {
  const path = join(import.meta.dirname, fixture)
  return spawn(process.execPath, ['--no-warnings', path, ...parameters], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function qemuOf(name: string): string | undefined {
  return processesOf(name).find(line => /^\d+ \S*qemu-system/.test(line))
}

/** Timers are too coarse for moments of half a millisecond. */
function spin(durationMs: number): void {
  const end = performance.now() + durationMs
  while (performance.now() < end);
}
