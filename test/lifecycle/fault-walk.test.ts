import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isCofferError, type Runtime } from '../../src/index.ts'
import { eventually, openTestHome, smallBox, type TestHome } from '../home.ts'
import { type Order, OtherProcess } from './other-process.ts'
import { assertGone, engineOf, reapDeadlineMs } from './whole-tree.ts'

// A process with a runtime does something to a box and tells the names of the steps it comes by, and so does the shim. Then, for each step, it is
// done again and whoever comes by that step is killed there. A fresh runtime must find the home in a state that it can put in order.

const detached = { ...smallBox, detach: true } as const
/** How many there were when this was written: fewer means that the walk lost its way. */
const knownSteps = { create: 2, firstStart: 12, start: 11, stop: 7, remove: 9, ephemeralStop: 9 } as const

type Operation = keyof typeof knownSteps

let home: TestHome
let steps: Readonly<Record<Operation, readonly string[]>>
before(async () => {
  home = await openTestHome()
  steps = await discover()
})
after(() => home[Symbol.asyncDispose]())

test('the steps of each operation are found', () => {
  for (const [operation, least] of Object.entries(knownSteps))
    assert.ok(
      steps[operation as Operation].length >= least,
      `${operation}: ${steps[operation as Operation].join(', ')}`,
    )
})

test('whoever dies while a box is created, the box is there or it is not', async () => {
  for (const [index, step] of steps.create.entries()) {
    const name = `created-${index}`
    await dieAt(step, other => other.tell({ do: 'create', options: detached, name }))
    await using runtime = await home.open()
    const found = (await runtime.list()).find(info => info.name === name)
    // Lost is only what was never recorded.
    assert.equal(found !== undefined, step !== 'create: before the record', step)
    const id = found?.id ?? (await runtime.create(detached, name)).id
    await assertSettled(runtime, id, step)
    await assertUsable(runtime, id, step)
    await remove(runtime, id)
  }
})

test('whoever dies while a box is started for the first time, it starts the next time', async () => {
  // The others are walked with a box that has something to lose.
  for (const step of steps.firstStart.filter(step => !steps.start.includes(step))) {
    const { id } = await home.runtime.create(detached)
    await dieAt(step, other => other.tell({ do: 'start', box: id }))
    await using runtime = await home.open()
    await assertSettled(runtime, id, step)
    await assertUsable(runtime, id, step)
    await remove(runtime, id)
  }
})

test('whoever dies while a box is started, it is there, once or not at all, and its disk is whole', async () => {
  const { id } = await home.runtime.create(detached)
  await writeFile(home.runtime, id)
  for (const step of steps.start) {
    await (await home.runtime.get(id)).stop({ timeoutMs: 0 })
    await dieAt(step, other => other.tell({ do: 'start', box: id }))
    await using runtime = await home.open()
    await assertSettled(runtime, id, step)
    await assertUsable(runtime, id, step, { hasFile: true })
  }
  await remove(home.runtime, id)
})

test('whoever dies while a box is stopped, it runs or does not, and its disk is whole', async () => {
  const { id } = await home.runtime.create(detached)
  await writeFile(home.runtime, id)
  for (const step of steps.stop) {
    // What a death left is started again, and its file looked for, by the next to die.
    await dieWhileEnding(step, id, { do: 'stop', box: id }, async other => {
      assert.equal(await other.run(id, 'cat', '/root/file'), 'kept\n', `before a death at "${step}"`)
    })
    await using runtime = await home.open()
    await assertSettled(runtime, id, step)
  }
  await assertUsable(home.runtime, id, 'the last one', { hasFile: true })
  await remove(home.runtime, id)
})

test('whoever dies while a box is removed by force, it is whole or gone', async () => {
  for (const step of steps.remove) {
    const { id } = await home.runtime.create(detached)
    await dieWhileEnding(step, id, { do: 'remove', box: id, force: true }, other =>
      other.run(id, 'sh', '-c', 'echo kept > /root/file; sync'),
    )
    await using runtime = await home.open()
    await assertSettled(runtime, id, step)
    const isThere = (await runtime.list()).some(info => info.id === id)
    if (!isThere) {
      await assertGone(home.path, id)
      continue
    }
    await assertUsable(runtime, id, step, { hasFile: true })
    await remove(runtime, id)
  }
})

test('whoever dies while an ephemeral box is stopped, it runs or is gone', async () => {
  // Up to the end of its run it is stopped as any other box is.
  for (const step of steps.ephemeralStop.filter(step => !steps.stop.includes(step))) {
    const { id } = await home.runtime.create({ ...detached, ephemeral: true })
    await dieWhileEnding(step, id, { do: 'stop', box: id }, async () => {})
    await using runtime = await home.open()
    assert.equal((await statusOf(runtime, id)).status, 'gone', step)
    await assertGone(home.path, id)
  }
})

/** The names of the steps of each operation, in their order, as one undisturbed life of a box comes by them. */
async function discover(): Promise<typeof steps> {
  const trace = join(home.path, 'trace')
  let seen = 0
  const stepsSince = (): string[] => {
    const lines = readFileSync(trace, 'utf8').trimEnd().split('\n')
    const fresh = [...new Set(lines.slice(seen))]
    seen = lines.length
    return fresh
  }
  await using other = await OtherProcess.open(home.path, { COFFER_FAULT_TRACE: trace })
  const box = String(await other.value({ do: 'create', options: detached, name: 'walked' }))
  const create = stepsSince()
  await other.value({ do: 'start', box })
  const firstStart = stepsSince()
  await other.value({ do: 'stop', box })
  const stop = stepsSince()
  await other.value({ do: 'start', box })
  const start = stepsSince()
  await other.value({ do: 'remove', box, force: true })
  const remove = stepsSince()
  const options = { ...detached, ephemeral: true }
  const ephemeral = String(await other.value({ do: 'create', options, name: 'brief' }))
  await other.value({ do: 'start', box: ephemeral })
  stepsSince()
  await other.value({ do: 'stop', box: ephemeral })
  return { create, firstStart, start, stop, remove, ephemeralStop: stepsSince() }
}

/** Lets another process do something and fails unless somebody died at `step` of it. */
async function dieAt(step: string, act: (other: OtherProcess) => Promise<unknown>): Promise<void> {
  const trace = join(home.path, `trace-${traces++}`)
  await using other = await OtherProcess.open(home.path, {
    COFFER_FAULT_AT: step,
    COFFER_FAULT_TRACE: trace,
  })
  await act(other)
  assert.ok(
    existsSync(trace) && readFileSync(trace, 'utf8').split('\n').includes(step),
    `nobody came by: ${step}`,
  )
}

let traces = 0

/**
 * Lets another process start a box, use it and end it, and fails unless somebody died at `step` of that: a shim
 * is told where to die when it is started.
 */
async function dieWhileEnding(
  step: string,
  box: string,
  order: Order,
  use: (other: OtherProcess) => Promise<unknown>,
): Promise<void> {
  await (await home.runtime.get(box)).stop({ timeoutMs: 0 })
  await dieAt(step, async other => {
    await other.value({ do: 'start', box })
    await use(other)
    await other.tell(order)
  })
}

/** Fails unless soon the box has one shim and one VMM, when its record says that it runs, or nothing at all. */
async function assertSettled(runtime: Runtime, id: string, step: string): Promise<void> {
  const look = async (): Promise<string> => {
    const info = await statusOf(runtime, id)
    const { shims, vmms } = engineOf(id)
    return `${info.status}, pid ${info.pid}, shims ${shims}, VMMs ${vmms.length}`
  }
  const isSettled = async (): Promise<boolean> => {
    const { status, pid } = await statusOf(runtime, id)
    const { shims, vmms } = engineOf(id)
    if (status === 'running') return shims.length === 1 && shims[0] === pid && vmms.length === 1
    return status !== 'stopping' && shims.length === 0 && vmms.length === 0
  }
  await eventually('the box is settled', isSettled, reapDeadlineMs).catch(async error =>
    assert.fail(`after a death at "${step}": ${error.message} (${await look()})`),
  )
}

async function statusOf(runtime: Runtime, id: string): Promise<{ status: string; pid?: number | undefined }> {
  try {
    return await (await runtime.get(id)).info()
  } catch (error) {
    if (isCofferError(error, 'not_found')) return { status: 'gone' }
    throw error
  }
}

/** Fails unless the box starts, if it must, as one VM, runs a command and has its file. */
async function assertUsable(
  runtime: Runtime,
  id: string,
  step: string,
  { hasFile = false }: { readonly hasFile?: boolean } = {},
): Promise<void> {
  const box = await runtime.get(id)
  const { text } = await box.shell(hasFile ? 'cat /root/file' : 'echo kept')
  assert.equal(text, 'kept\n', step)
  const { shims, vmms } = engineOf(id)
  assert.deepEqual([shims, vmms.length], [[(await box.info()).pid], 1], step)
}

async function writeFile(runtime: Runtime, id: string): Promise<void> {
  await (await runtime.get(id)).shell('echo kept > /root/file; sync')
}

/** Fails unless removing it leaves nothing of it, and nothing of those who died. */
async function remove(runtime: Runtime, id: string): Promise<void> {
  await runtime.remove(id, { force: true })
  await assertGone(home.path, id)
  await using _next = await home.open()
  const mine = new RegExp(`^${process.pid}-`)
  assert.deepEqual(
    readdirSync(join(home.path, 'tmp')).filter(entry => !mine.test(entry)),
    [],
  )
}
