import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Box, type BoxInfo, isCofferError } from '../../src/index.ts'
import { eventually, openTestHome, processesOf, smallBox, type TestHome } from '../home.ts'

// Policies are the shim's: every box here is detached, and what happens to it happens without its runtime.

let home: TestHome
before(async () => {
  home = await openTestHome()
})
after(() => home[Symbol.asyncDispose]())

const detached = { ...smallBox, detach: true }
/** What a policy gives the guest to end. */
const graceMs = 10_000

test('a failing main process is started again as often as its policy says, and then given up', async () => {
  const script = 'echo run >> /runs; exit 3'
  const box = await home.runtime.create({
    ...detached,
    command: ['sh', '-c', script],
    restart: 'on-failure:2',
  })
  await box.start()
  const info = await settled(box, found => found.restart.count === 2 && found.pid === undefined)
  assert.equal(info.restart.cause, 'main_exited')
  assert.equal(info.restart.policy, 'on-failure:2')
  assert.equal(info.restart.nextAt, undefined)
  assert.match(info.reason ?? '', /exit code 3/)
  assert.deepEqual(await typesOf(box), ['created', ...run, ...run, ...run])
  await eventually('no process of the box stays', () => processesOf(box.id).length === 0)
})

test('on-failure leaves a success alone, and no restarts nothing', async () => {
  const fine = await home.runtime.create({ ...detached, command: ['true'], restart: 'on-failure' })
  const plain = await home.runtime.create({ ...detached, command: ['false'] })
  await Promise.all([fine.start(), plain.start()])
  for (const box of [fine, plain]) {
    const info = await settled(box, found => found.status === 'stopped' && found.pid === undefined)
    assert.equal(info.restart.count, 0)
  }
})

test('always also follows success and the death of the machine; a stop wins, also between two runs', async () => {
  const box = await home.runtime.create({ ...detached, restart: 'always' })
  await box.start()
  const { pid } = await box.info()
  kill(box, 'qemu-system')
  const again = await settled(box, found => found.status === 'running' && found.restart.count === 1)
  assert.equal(again.restart.cause, 'vm_died')
  assert.ok(again.restart.lastAt)
  assert.equal(again.pid, pid)
  assert.equal((await box.run('echo', ['again'])).text, 'again\n')
  // Now from the inside, and stopped while it waits.
  for (let round = 0; ; round++) {
    const { restart } = await settled(box, found => found.status === 'running')
    kill(box, 'qemu-system')
    const waiting = await settled(
      box,
      found => found.restart.count > restart.count || found.restart.nextAt !== undefined,
    )
    if (waiting.restart.nextAt !== undefined) break
    assert.ok(round < 5, 'the box is never seen to wait')
  }
  await box.stop()
  const stopped = await box.info()
  assert.equal(stopped.status, 'stopped')
  assert.equal(stopped.restart.nextAt, undefined)
  assert.deepEqual(processesOf(box.id), [])
  // A start by a user begins the count anew.
  await box.start()
  assert.equal((await box.info()).restart.count, 0)
  await box.stop({ timeoutMs: 0 })
  assert.equal((await box.info()).status, 'stopped')
})

test('a box in which nothing happens is stopped, its disk written out; what runs in it keeps it', async () => {
  const box = await home.runtime.create({ ...detached, idleTimeoutMs: 700 })
  await box.shell('echo kept > /file; sleep 1.5')
  const info = await settled(box, found => found.status === 'stopped')
  assert.match(info.reason ?? '', /idle timeout/)
  const end = await box.wait()
  assert.equal(end.cause, 'idle')
  // Used again, it starts again.
  assert.equal((await box.run('cat', ['/file'])).text, 'kept\n')
})

test('a box is stopped after its maximum duration, however busy', async () => {
  const box = await home.runtime.create({ ...detached, maxDurationMs: 800 })
  const busy = await box.exec('sleep', ['100'])
  assert.equal((await busy.wait()).signal, 'SIGTERM')
  const info = await settled(box, found => found.status === 'stopped')
  assert.match(info.reason ?? '', /maximum duration/)
})

// A guest that stands still holds the freeze under way: one comes to itself while it is still waited for, the other beyond that, to find the
// freeze and the end at once, with a disk to be written out.
for (const { policy, cause, stillMs } of [
  { policy: { maxDurationMs: 5_000 }, cause: 'max_duration', stillMs: 500 },
  { policy: { idleTimeoutMs: 1_000 }, cause: 'idle', stillMs: 3_000 },
] as const) {
  test(`a pause under way is given up when a policy ends the box: ${cause}`, async () => {
    const box = await home.runtime.create({ ...detached, ...policy })
    const written = await box.shell('head -c 8388608 /dev/urandom > /file; md5sum /file')
    signal(box, 'qemu-system', 'SIGSTOP')
    const pause = box.pause()
    const refused = assert.rejects(pause, error => {
      assert.ok(isCofferError(error, 'invalid_state'), String(error))
      assert.match(error.message, /stopping/)
      return true
    })
    await settled(box, ({ status }) => status === 'stopping')
    const endBegunAt = performance.now()
    await sleep(stillMs)
    signal(box, 'qemu-system', 'SIGCONT')
    await refused
    const end = await box.wait()
    assert.ok(performance.now() - endBegunAt < graceMs)
    assert.equal(end.cause, cause)
    assert.deepEqual((await typesOf(box)).slice(-2), ['stopping', 'stopped'])
    await eventually('no process of the box stays', () => processesOf(box.id).length === 0)
    // By force, it would have lost what was not written out.
    assert.equal((await box.shell('md5sum /file')).text, written.text)
  })
}

test('an ephemeral box is gone when it has stopped, with nobody there to remove it', async () => {
  const box = await home.runtime.create({
    ...detached,
    ephemeral: true,
    command: ['sh', '-c', 'sleep 0.5; exit 4'],
  })
  await box.start()
  const end = await box.wait()
  assert.equal(end.exitCode, 4)
  await eventually('it is removed', async () => (await home.runtime.list()).every(({ id }) => id !== box.id))
  await eventually('its shim is gone', () => processesOf(box.id).length === 0)
  assert.deepEqual((await typesOf(box)).slice(-2), ['stopped', 'removed'])
})

test('policies that cannot be are refused', async () => {
  const wrong = [
    { restart: 'sometimes' },
    { restart: 'always:3' },
    { restart: 'always', ephemeral: true },
    { idleTimeoutMs: 0 },
    { maxDurationMs: 1.5 },
  ]
  for (const options of wrong)
    await assert.rejects(home.runtime.create(options as object), error =>
      isCofferError(error, 'invalid_argument'),
    )
})

const run = ['starting', 'started', 'exec_started', 'exec_exited', 'stopping', 'stopped']

async function settled(box: Box, isSettled: (info: BoxInfo) => boolean): Promise<BoxInfo> {
  let info = await box.info()
  await eventually('the box comes to it', async () => {
    info = await box.info()
    return isSettled(info)
  })
  return info
}

const kill = (box: Box, program: string): void => signal(box, program, 'SIGKILL')

function signal(box: Box, program: string, name: NodeJS.Signals): void {
  // Those that wait for it have its name among their arguments.
  const line = processesOf(box.id).find(found => /^\d+ (\S+)/.exec(found)?.[1]?.includes(program))
  assert.ok(line, `${program} runs`)
  process.kill(Number.parseInt(line, 10), name)
}

async function typesOf(box: Box): Promise<string[]> {
  const types: string[] = []
  for await (const { type } of home.runtime.events({ after: 0, follow: false, box: box.id })) types.push(type)
  return types
}
