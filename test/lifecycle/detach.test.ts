import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Box } from '../../src/index.ts'
import { eventually, openTestHome, processesOf, smallBox, type TestHome } from '../home.ts'
import { OtherProcess } from './other-process.ts'
import { assertGone, assertReaped, engineOf } from './whole-tree.ts'

const detached = { ...smallBox, detach: true } as const
/** How long an attached box may outlive the runtime that started it. */
const orphanDeadlineMs = 10_000

test('a started box has a pid file that names its shim, as info does; a stopped one has none', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create(detached)
  assertNoPidFile(home, box.id)
  await box.exec('sleep', ['300'])
  const { pid } = pidFile(home, box.id)
  assert.equal((await box.info()).pid, pid)
  assert.deepEqual(engineOf(box.id).shims, [pid])
  await box.stop()
  assertNoPidFile(home, box.id)
  assert.equal((await box.info()).pid, undefined)
})

test('a detached box survives that its runtime is shut down', async () => {
  await using home = await openTestHome()
  const runtime = await home.open()
  const box = await runtime.create(detached, 'left')
  await box.exec('sleep', ['300'])
  const before = await box.info()
  await runtime.shutdown()
  const after = await (await home.runtime.get('left')).info()
  assert.equal(after.status, 'running')
  assert.equal(after.pid, before.pid)
  assert.deepEqual(after.startedAt, before.startedAt)
  assert.deepEqual(engineOf(box.id).shims, [before.pid])
})

for (const how of ['exit', 'kill'] as const)
  test(`a detached box survives the ${how} of the process that started it, and another process has it whole`, async () => {
    await using home = await openTestHome()
    await using owner = await OtherProcess.open(home.path)
    const id = String(await owner.value({ do: 'create', options: detached, name: 'kept' }))
    await owner.run('kept', 'sh', '-c', 'sleep 300 > /dev/null 2>&1 & echo $! > /run/sleeper')
    const { pid } = pidFile(home, id)
    if (how === 'kill') await owner.kill()
    else await Promise.all([owner.tell({ do: 'exit' }), owner.ended])

    // 1. Found by a process that had no part in it, with the same shim.
    await using heir = await OtherProcess.open(home.path)
    const info = (await heir.value({ do: 'info', box: 'kept' })) as { status: string; pid: number }
    assert.deepEqual([info.status, info.pid], ['running', pid])
    // 2. What ran in it runs on, beside what the heir runs.
    assert.equal(await heir.run('kept', 'sh', '-c', 'kill -0 $(cat /run/sleeper) && echo alive'), 'alive\n')
    assert.deepEqual(engineOf(id).shims, [pid])
    // 3. Stopped by the heir.
    await heir.value({ do: 'stop', box: 'kept' })
    await assertReaped(home.path, id)
  })

for (const how of ['shutdown', 'exit', 'kill'] as const)
  test(`an attached box ends with the ${how} of its runtime, its disk flushed`, async () => {
    await using home = await openTestHome()
    await using owner = await OtherProcess.open(home.path)
    const id = String(await owner.value({ do: 'create', options: smallBox, name: 'attached' }))
    // Its page cache holds this; nothing asked for it to be written.
    await owner.run('attached', 'sh', '-c', 'seq 100000 > /root/unsynced')
    const begun = performance.now()
    if (how === 'kill') await owner.kill()
    else await owner.tell({ do: how })
    await eventually(
      'no process mentions the box',
      () => processesOf(id).length === 0,
      orphanDeadlineMs - (performance.now() - begun),
    )
    await assertReaped(home.path, id)
    const box = await home.runtime.get('attached')
    const info = await box.info()
    assert.equal(info.status, 'stopped')
    if (how === 'kill') assert.match(info.reason ?? '', /is gone/)
    assert.equal((await box.run('sha256sum', ['/root/unsynced'])).text, await sumOfSequence(box))
  })

test('several detached boxes have a pid file each, and shims of their own', async () => {
  await using home = await openTestHome()
  const boxes = await Promise.all([1, 2, 3].map(() => home.runtime.create(detached)))
  await Promise.all(boxes.map(box => box.exec('sleep', ['300'])))
  const pids = boxes.map(({ id }) => pidFile(home, id).pid)
  assert.equal(new Set(pids).size, boxes.length)
  assert.deepEqual(
    boxes.flatMap(({ id }) => engineOf(id).shims),
    pids,
  )
})

test('a detached box is found running by the next runtime of its home, which stops and removes it', async () => {
  await using home = await openTestHome()
  const first = await home.open()
  const { id } = await first.create(detached)
  await (await first.get(id)).exec('sleep', ['300'])
  await first.shutdown()
  await using next = await home.open()
  const box = await next.get(id)
  const { status, pid } = await box.info()
  assert.equal(status, 'running')
  assert.ok(pid !== undefined)
  await box.stop()
  assert.equal((await box.info()).status, 'stopped')
  await next.remove(id)
  await assertGone(home.path, id)
})

test('removing a detached box by force ends its whole tree', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create(detached)
  await box.exec('sleep', ['300'])
  assert.deepEqual(sizesOf(box.id), { shims: 1, vmms: 1 })
  await home.runtime.remove(box.id, { force: true })
  await assertGone(home.path, box.id)
})

test('stopping a detached box ends its whole tree and keeps its record and its disk', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({ ...detached, labels: { kept: 'yes' } }, 'stays')
  await box.run('sh', ['-c', 'echo written > /root/file'])
  await box.exec('sleep', ['300'])
  assert.deepEqual(sizesOf(box.id), { shims: 1, vmms: 1 })
  await box.stop()
  await assertReaped(home.path, box.id)
  const { status, labels } = await (await home.runtime.get('stays')).info()
  assert.equal(status, 'stopped')
  assert.deepEqual(labels, { kept: 'yes' })
  assert.equal((await box.run('cat', ['/root/file'])).text, 'written\n')
})

function pidFile(home: TestHome, boxId: string): { readonly pid: number } {
  return JSON.parse(readFileSync(pidPath(home, boxId), 'utf8'))
}

function assertNoPidFile(home: TestHome, boxId: string): void {
  assert.ok(!existsSync(pidPath(home, boxId)))
}

function pidPath(home: TestHome, boxId: string): string {
  return join(home.path, 'boxes', boxId, 'shim.pid')
}

function sizesOf(boxId: string): { shims: number; vmms: number } {
  const { shims, vmms } = engineOf(boxId)
  return { shims: shims.length, vmms: vmms.length }
}

/** What `sha256sum` says of the file as it was meant to be. */
async function sumOfSequence(box: Box): Promise<string> {
  return (await box.shell('seq 100000 | sha256sum | sed s:-:/root/unsynced:')).text
}
