import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Box, type ErrorCode, isCofferError, type Runtime } from '../../src/index.ts'
import { openTestHome, processesOf, smallBox } from '../home.ts'
import { assertReaped, engineOf } from './whole-tree.ts'

const deaf = "trap '' TERM; echo deaf; while :; do sleep 1; done"
/** Much less than the default of 10 s, and enough for a busy machine. */
const soonMs = 6_000

test('shutdown stops the attached boxes, and is the same end for all who ask', async () => {
  await using home = await openTestHome()
  const runtime = await home.open()
  const boxes = await Promise.all([1, 2].map(() => runtime.create(smallBox)))
  const execution = await boxes[0]?.exec('sleep', ['300'])
  await boxes[1]?.start()
  const ended = execution?.wait()
  await Promise.all([runtime.shutdown(), runtime.shutdown({ timeoutMs: 0 }), runtime.shutdown()])
  for (const { id } of boxes) {
    await assertReaped(home.path, id)
    const { status, reason } = await (await home.runtime.get(id)).info()
    assert.deepEqual([status, reason], ['stopped', 'the box was stopped'])
  }
  assert.equal((await ended)?.signal, 'SIGTERM')
  await runtime.shutdown()
  await runtime[Symbol.asyncDispose]()
})

test('a runtime without boxes shuts down', async () => {
  await using home = await openTestHome()
  await (await home.open()).shutdown()
  await (await home.open()).shutdown({ timeoutMs: 0 })
})

test('without time, boxes are ended by force', async () => {
  await using home = await openTestHome()
  const { runtime, box } = await deafBox(await home.open())
  const begun = performance.now()
  await runtime.shutdown({ timeoutMs: 0 })
  assert.ok(performance.now() - begun < soonMs)
  await assertStopped(box, /by force/)
  await assertReaped(home.path, box.id)
})

test('a process that does not end when told to is killed when the time is over', async () => {
  await using home = await openTestHome()
  const { runtime, box } = await deafBox(await home.open())
  const begun = performance.now()
  await runtime.shutdown({ timeoutMs: 500 })
  const tookMs = performance.now() - begun
  assert.ok(tookMs >= 500 && tookMs < soonMs, `${tookMs}`)
  await assertStopped(box, /stopped/)
})

const bounds: readonly { readonly timeoutMs?: number }[] = [{}, { timeoutMs: Number.POSITIVE_INFINITY }]
for (const options of bounds)
  test(`processes get the time they need to end, with ${options.timeoutMs ?? 'the default'} as bound`, async () => {
    await using home = await openTestHome()
    const runtime = await home.open()
    const box = await runtime.create(smallBox)
    const script =
      "trap 'sleep 2; echo saved > /root/work; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    const execution = await box.exec('sh', ['-c', script])
    await once(execution.stdout, 'data')
    await runtime.shutdown(options)
    assert.equal((await execution.wait()).exitCode, 0)
    const kept = await home.runtime.get(box.id)
    assert.equal((await kept.run('cat', ['/root/work'])).text, 'saved\n')
  })

test('a timeout that is none is refused, and the runtime stays open', async () => {
  await using home = await openTestHome()
  for (const timeoutMs of [-1, -5, Number.NaN, 0.5, Number.NEGATIVE_INFINITY])
    assert.throws(
      () => home.runtime.shutdown({ timeoutMs }),
      error => isCofferError(error, 'invalid_argument'),
      String(timeoutMs),
    )
  await home.runtime.create(smallBox)
})

test('other runtimes of the home, and detached boxes, are not touched', async () => {
  await using home = await openTestHome()
  const runtime = await home.open()
  const mine = await runtime.create(smallBox)
  const left = await runtime.create({ ...smallBox, detach: true })
  const others = await home.runtime.create(smallBox)
  await Promise.all([mine, left, others].map(box => box.start()))
  // Used by both, and stays with the one that started it.
  assert.equal((await (await runtime.get(others.id)).run('echo', ['shared'])).text, 'shared\n')
  const pids = await Promise.all([left, others].map(async box => (await box.info()).pid))
  await runtime.shutdown()
  await assertReaped(home.path, mine.id)
  for (const [index, { id }] of [left, others].entries()) {
    const box = await home.runtime.get(id)
    assert.equal((await box.info()).pid, pids[index])
    assert.equal((await box.run('echo', ['there'])).text, 'there\n')
  }
})

test('after its shutdown a runtime can be read, and changes nothing any more', async () => {
  await using home = await openTestHome()
  const runtime = await home.open()
  const box = await runtime.create({ ...smallBox, command: ['sh', '-c', 'echo said; sleep 300'] }, 'read')
  await box.start()
  await box.waitForLog('said')
  await runtime.shutdown()

  // 1. Reads.
  assert.equal((await box.info()).status, 'stopped')
  assert.equal((await (await runtime.get('read')).info()).id, box.id)
  assert.deepEqual(
    (await runtime.list()).map(({ id }) => id),
    [box.id],
  )
  await assert.rejects(runtime.get('nobody'), hasCode('not_found'))
  const logs = await Array.fromAsync(box.logs())
  assert.equal(Buffer.concat(logs.map(({ data }) => data)).toString(), 'said\n')
  const events = await Array.fromAsync(runtime.events({ after: 0, follow: false }))
  assert.deepEqual(
    [events[0]?.type, events.at(-1)?.type, events.at(-1)?.details['cause']],
    ['created', 'stopped', 'stopped'],
  )

  // 2. Changes.
  const changes: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['create', () => runtime.create(smallBox)],
    ['getOrCreate', () => runtime.getOrCreate(smallBox, 'new')],
    ['start', () => box.start()],
    ['restart', () => box.restart()],
    ['exec', () => box.exec('true')],
    ['run', () => box.run('true')],
    ['attach', () => box.attach()],
    ['stop', () => box.stop()],
    ['pause', () => box.pause()],
    ['resume', () => box.resume()],
    ['remove', () => runtime.remove(box.id)],
    ['prune', () => runtime.prune()],
  ]
  for (const [what, change] of changes) await assert.rejects(change(), hasCode('stopped'), what)
  assert.deepEqual(
    (await home.runtime.list()).map(({ id }) => id),
    [box.id],
  )
  assert.deepEqual(engineOf(box.id), { shims: [], vmms: [] })
})

test('an attached box that is being started when its runtime shuts down does not run', async () => {
  await using home = await openTestHome()
  const runtime = await home.open()
  const box = await runtime.create(smallBox)
  const started = assert.rejects(box.start(), hasCode('stopped'))
  await shimOf(box)
  await runtime.shutdown()
  await started
  await assertReaped(home.path, box.id)
})

test('a process whose runtime shuts down while a detached box starts ends by itself, and the box runs', async () => {
  await using home = await openTestHome()
  const script = `
    import { Runtime } from '${import.meta.dirname}/../../src/index.ts'
    const runtime = await Runtime.open({ home: '${home.path}' })
    const box = await runtime.create(${JSON.stringify({ ...smallBox, detach: true })}, 'left')
    const started = box.start().then(() => 'started', error => error.code)
    for await (const { type } of runtime.events({ after: 0 })) if (type === 'starting') break
    await runtime.shutdown()
    console.log(await started)`
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
  const printed = (await Array.fromAsync(child.stdout)).join('')
  clearTimeout(timer)
  assert.equal(child.signalCode, null)
  assert.equal(printed, 'stopped\n')
  const box = await home.runtime.get('left')
  assert.equal((await box.run('echo', ['there'])).text, 'there\n')
  assert.equal((await box.info()).status, 'running')
})

/** An attached box with a process that SIGTERM does not end. */
async function deafBox(runtime: Runtime): Promise<{ runtime: Runtime; box: Box }> {
  const box = await runtime.create(smallBox)
  const execution = await box.exec('sh', ['-c', deaf])
  await once(execution.stdout, 'data')
  return { runtime, box }
}

async function assertStopped(box: Box, reason: RegExp): Promise<void> {
  const info = await box.info()
  assert.equal(info.status, 'stopped')
  assert.match(info.reason ?? '', reason)
}

/** Resolves when a shim of the box is there. */
async function shimOf({ id }: Box): Promise<void> {
  while (processesOf(`coffer-shim ${id} `).length === 0) await new Promise(resolve => setTimeout(resolve, 5))
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return error => isCofferError(error, code)
}
