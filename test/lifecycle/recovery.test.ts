import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Box, type BoxInfo, type BoxOptions, isCofferError, type Runtime } from '../../src/index.ts'
import { eventually, openTestHome, smallBox, type TestHome } from '../home.ts'
import { OtherProcess } from './other-process.ts'
import { engineOf, processEnds, reapDeadlineMs } from './whole-tree.ts'

// The pid file is the truth about what runs. Here it is what a crash, a user or a reboot may make of it, and a runtime opens the home then.

const detached = { ...smallBox, detach: true } as const
const someId = 'AAAAbbbb0000'

test('a box whose shim lives is running, as it was', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home)
  const after = await infoAfterOpening(home, before.id)
  assert.deepEqual([after.status, after.pid, after.startedAt], ['running', before.pid, before.startedAt])
})

test('a box whose shim died is stopped, and its reason says so', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home)
  await killShim(before)
  const after = await infoAfterOpening(home, before.id)
  assert.deepEqual([after.status, after.pid], ['stopped', undefined])
  assert.match(after.reason ?? '', /shim was killed/)
  assert.ok(after.stoppedAt !== undefined)
  await assertWorks(home, before.id)
})

for (const [what, damage] of [
  ['corrupt', path => writeFileSync(path, '{"pid": 1')],
  ['missing', path => rmSync(path)],
] as readonly (readonly [string, (path: string) => void])[])
  test(`a box with a ${what} pid file is ended and stopped, and starts again at once with its disk`, async () => {
    await using home = await openTestHome()
    const { before } = await runningBox(home)
    damage(pidPath(before))
    await using next = await home.open()
    const box = await next.get(before.id)
    assert.equal((await box.info()).status, 'stopped')
    // At once: what is left of the old VMM must not be in the new one's way.
    assert.equal((await box.run('cat', ['/root/file'])).text, 'kept\n')
    await eventually('one shim and one VMM of the box are left', () => isSingle(box), reapDeadlineMs)
    assert.notEqual((await box.info()).pid, before.pid)
  })

test('a pid that belongs to another process by now is not taken for the shim, nor ended', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home)
  await using bystander = await OtherProcess.open(home.path)
  await killShim(before)
  const record = JSON.parse(readFileSync(pidPath(before), 'utf8'))
  writeFileSync(pidPath(before), JSON.stringify({ ...record, pid: bystander.pid }))
  const after = await infoAfterOpening(home, before.id)
  assert.deepEqual([after.status, after.pid], ['stopped', undefined])
  await assertWorks(home, before.id)
  assert.equal(((await bystander.value({ do: 'info', box: before.id })) as BoxInfo).id, before.id)
})

test('a pid file of another box is not believed', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home)
  const { before: other } = await runningBox(home)
  await killShim(before)
  writeFileSync(pidPath(before), readFileSync(pidPath(other)))
  assert.equal((await infoAfterOpening(home, before.id)).status, 'stopped')
  assert.equal((await infoAfterOpening(home, other.id)).pid, other.pid)
})

test('no policy starts a box after a reboot, nor one that a user was stopping', async () => {
  await using home = await openTestHome()
  // 1. Boxes that ran, waited for a restart and were about to be stopped when everything ended.
  const { before: rebooted } = await runningBox(home, { restart: 'always' })
  const waiting = await crashLoopingBox(home)
  const stopping = await boxThatIsStopping(home)
  const { before: crashed } = await runningBox(home, { restart: 'always' })
  for (const info of [rebooted, waiting, stopping, crashed]) await killShim(info)
  reboot(rebooted)
  reboot(waiting)
  // 2. All of them are looked at before the first of those that are started again runs.
  const cursor = (await Array.fromAsync(home.runtime.events({ after: 0, follow: false }))).at(-1)?.cursor ?? 0
  await using next = await home.open()
  await eventually('the policy that holds has done its work', async () => {
    return (await (await next.get(crashed.id)).info()).status === 'running'
  })
  const events = await Array.fromAsync(next.events({ after: cursor, follow: false }))
  assert.deepEqual(
    events.filter(({ type }) => type === 'starting').map(({ boxId }) => boxId),
    [crashed.id],
  )
  for (const { id } of [rebooted, stopping]) {
    const { status, pid, restart } = await (await next.get(id)).info()
    assert.deepEqual([status, pid, restart.count, restart.nextAt], ['stopped', undefined, 0, undefined])
  }
  const { status, pid, restart } = await (await next.get(waiting.id)).info()
  assert.deepEqual([status === 'running', pid, restart.nextAt], [false, undefined, undefined])
})

test('boxes that stopped are kept, also one whose directory is gone', async () => {
  await using home = await openTestHome()
  const { box, before } = await runningBox(home)
  await box.stop()
  rmSync(before.directory, { recursive: true })
  assert.equal((await infoAfterOpening(home, before.id)).status, 'stopped')
  await using next = await home.open()
  assert.equal((await (await next.get(before.id)).run('echo', ['new disk'])).text, 'new disk\n')
})

test('an ephemeral box whose shim died is removed', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home, { ephemeral: true })
  await killShim(before)
  await using next = await home.open()
  await assert.rejects(next.get(before.id), error => isCofferError(error, 'not_found'))
  assert.ok(!existsSync(before.directory))
  assert.ok(!existsSync(lockPath(home, before.id)))
})

test('a box that is to run always runs again, and tells how often and why', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home, { restart: 'always' })
  await killShim(before)
  await using next = await home.open()
  const box = await next.get(before.id)
  await eventually('the box runs again', async () => (await box.info()).status === 'running')
  const { pid, restart, startedAt } = await box.info()
  assert.notEqual(pid, before.pid)
  assert.deepEqual([restart.count, restart.cause], [1, 'shim_killed'])
  assert.ok(restart.lastAt !== undefined && restart.nextAt === undefined)
  assert.ok(startedAt !== undefined && before.startedAt !== undefined && startedAt > before.startedAt)
  assert.equal((await box.run('cat', ['/root/file'])).text, 'kept\n')
  assert.ok(isSingle(box))
})

test('a runtime that is shut down as soon as it was opened has started what is to run', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home, { restart: 'unless-stopped' })
  await killShim(before)
  const next = await home.open()
  await next.shutdown()
  const box = await home.runtime.get(before.id)
  assert.equal((await box.info()).status, 'running')
  assert.equal((await box.run('cat', ['/root/file'])).text, 'kept\n')
  assert.deepEqual([(await box.info()).restart.count, isSingle(box)], [1, true])
})

test('a box that waited for its restart when its shim died is started by the next runtime', async () => {
  await using home = await openTestHome()
  const waiting = await crashLoopingBox(home)
  await killShim(waiting)
  const startsOf = async (runtime: Runtime): Promise<number> => {
    const events = await Array.fromAsync(runtime.events({ after: 0, follow: false, box: waiting.id }))
    return events.filter(({ type }) => type === 'starting').length
  }
  const starts = await startsOf(home.runtime)
  await using next = await home.open()
  await eventually('it was started again', async () => (await startsOf(next)) > starts)
  assert.ok((await (await next.get(waiting.id)).info()).restart.count > waiting.restart.count)
})

for (const step of ['shim: restart begun', 'start: begun', 'start: ready'])
  test(`a restart that was under way when its doer died ("${step}") is not forgotten`, async () => {
    await using home = await openTestHome()
    await using doer = await OtherProcess.open(home.path, step.startsWith('shim: restart') ? dieAt(step) : {})
    const options = { ...detached, restart: 'always', command: ['sleep', '300'] } as const
    const id = String(await doer.value({ do: 'create', options, name: 'always' }))
    await doer.value({ do: 'start', box: id })
    const box = await home.runtime.get(id)
    const before = await box.info()
    if (step.startsWith('shim: restart')) {
      // 1. Its shim dies when it has begun to start it again.
      for (const vmm of engineOf(id).vmms) process.kill(vmm, 'SIGKILL')
      await processEnds(before.pid ?? 0)
    } else {
      // 1. Its shim was killed, and the runtime that does its work dies.
      await killShim(before)
      await using next = await OtherProcess.open(home.path, dieAt(step))
      await next.ended
    }
    // 2. The next runtime does it.
    await using last = await home.open()
    await eventually('the box runs', async () => (await (await last.get(id)).info()).status === 'running')
    assert.ok(isSingle(await last.get(id)))
    const { restart } = await (await last.get(id)).info()
    assert.ok(restart.count >= 1 && restart.nextAt === undefined)
  })

test('several runtimes that open at once start a box that is to run always once', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home, { restart: 'always' })
  await killShim(before)
  await using one = await home.open()
  await using two = await OtherProcess.open(home.path)
  await eventually(
    'the box runs again',
    async () => (await (await one.get(before.id)).info()).status === 'running',
  )
  const box = await one.get(before.id)
  assert.equal(await two.run(before.id, 'cat', '/root/file'), 'kept\n')
  assert.ok(isSingle(box))
  assert.equal((await box.info()).restart.count, 1)
})

test('a directory without a record and a lock without a box are swept, what is in use is not', async () => {
  await using home = await openTestHome()
  const { before } = await runningBox(home)
  mkdirSync(join(home.path, 'boxes', someId))
  writeFileSync(join(home.path, 'boxes', someId, 'disk.qcow2'), 'half')
  writeFileSync(lockPath(home, someId), '')
  const [dead, alive] = [
    join(home.path, 'tmp', '4194304-1-half'),
    join(home.path, 'tmp', `${process.pid}-0-half`),
  ]
  for (const path of [dead, alive]) writeFileSync(path, '')
  const after = await infoAfterOpening(home, before.id)
  assert.equal(after.pid, before.pid)
  for (const path of [join(home.path, 'boxes', someId), lockPath(home, someId), dead])
    assert.ok(!existsSync(path), path)
  for (const path of [before.directory, lockPath(home, before.id), alive]) assert.ok(existsSync(path), path)
  rmSync(alive)
})

/** A detached box with a file on its disk. */
async function runningBox(home: TestHome, options: BoxOptions = {}): Promise<{ box: Box; before: BoxInfo }> {
  const box = await home.runtime.create({ ...detached, ...options })
  await box.shell('echo kept > /root/file; sync')
  return { box, before: await box.info() }
}

/** A box whose main process fails again and again, while its shim waits before the next time. */
async function crashLoopingBox(home: TestHome): Promise<BoxInfo> {
  const box = await home.runtime.create({ ...detached, command: ['false'], restart: 'always' })
  await box.start()
  await eventually('its shim waits', async () => {
    const { restart, pid } = await box.info()
    return restart.count >= 2 && restart.nextAt !== undefined && pid !== undefined
  })
  return box.info()
}

function dieAt(step: string): Readonly<Record<string, string>> {
  return { COFFER_FAULT_AT: step }
}

async function killShim({ id, pid }: BoxInfo): Promise<void> {
  assert.ok(pid !== undefined)
  process.kill(pid, 'SIGKILL')
  await processEnds(pid)
  await eventually('its VMM is gone', () => engineOf(id).vmms.length === 0)
}

/** What a fresh runtime says of the box. */
async function infoAfterOpening(home: TestHome, boxId: string): Promise<BoxInfo> {
  await using next = await home.open()
  return (await next.get(boxId)).info()
}

async function assertWorks(home: TestHome, boxId: string): Promise<void> {
  await using next = await home.open()
  const box = await next.get(boxId)
  assert.equal((await box.run('cat', ['/root/file'])).text, 'kept\n')
  assert.ok(isSingle(box))
}

function isSingle(box: Box): boolean {
  const { shims, vmms } = engineOf(box.id)
  return shims.length === 1 && vmms.length === 1
}

/** The pid file as a boot of the host before this one left it. */
function reboot(info: BoxInfo): void {
  const record = JSON.parse(readFileSync(pidPath(info), 'utf8'))
  const bootId = '00000000-0000-4000-8000-000000000000'
  writeFileSync(pidPath(info), JSON.stringify({ ...record, bootId }))
}

/** A box with a process that does not end when told to, in the midst of a stop by a process that is then killed. */
async function boxThatIsStopping(home: TestHome): Promise<BoxInfo> {
  const { box, before } = await runningBox(home, { restart: 'always' })
  const deaf = await box.exec('sh', ['-c', "trap '' TERM; echo deaf; while :; do sleep 1; done"])
  await once(deaf.stdout, 'data')
  await using user = await OtherProcess.open(home.path)
  const stopped = user.tell({ do: 'stop', box: before.id, timeoutMs: 60_000 })
  await eventually('the stop is under way', async () => (await box.info()).status === 'stopping')
  await user.kill()
  assert.equal((await stopped).code, 'died')
  return before
}

function pidPath({ directory }: BoxInfo): string {
  return join(directory, 'shim.pid')
}

function lockPath(home: TestHome, boxId: string): string {
  return join(home.path, 'locks', `box-${boxId}`)
}
