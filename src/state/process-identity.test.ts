import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { identify, isAlive } from './process-identity.ts'

test('this process is alive and is itself', () => {
  const identity = identify(process.pid)
  assert.ok(identity)
  assert.ok(isAlive(identity))
})

test('another start time or another boot is another process', () => {
  const identity = identify(process.pid)
  assert.ok(identity)
  assert.ok(!isAlive({ ...identity, startTicks: identity.startTicks + 1 }))
  assert.ok(!isAlive({ ...identity, bootId: 'another' }))
})

test('a process whose name holds spaces and parentheses is read right', async () => {
  const child = spawn(
    process.execPath,
    ['-e', "process.title = 'a) b (c'; console.log(); setInterval(() => {}, 1000)"],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  await once(child.stdout, 'data')
  const identity = identify(child.pid ?? 0)
  assert.ok(identity)
  assert.ok(isAlive(identity))
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.ok(!isAlive(identity))
})

test('a zombie is dead', async () => {
  // The shell's child ends at once and is not waited for while the shell has become `sleep`.
  const parent = spawn('sh', ['-c', 'true & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [line] = await once(parent.stdout, 'data')
  const pid = Number(String(line).trim())
  const deadline = performance.now() + 5_000
  while (identify(pid) !== undefined) assert.ok(performance.now() < deadline)
  parent.kill('SIGKILL')
  await once(parent, 'exit')
})
