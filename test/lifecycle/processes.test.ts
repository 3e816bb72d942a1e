import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Box, type BoxInfo, isCofferError, type Runtime } from '../../src/index.ts'
import { eventually, openTestHome, smallBox } from '../home.ts'
import { OtherProcess, type Outcome } from './other-process.ts'
import { assertGone, assertReaped, engineOf } from './whole-tree.ts'

// Two processes use one home at the same time: this one, and another with a runtime of its own.

const detached = { ...smallBox, detach: true } as const
const deaf = "trap '' TERM; echo deaf; while :; do sleep 1; done"
/** How long a call may take to tell that its box went away. */
const answerDeadlineMs = 5_000

test('of two processes that create the same name, one wins', async () => {
  await using home = await openTestHome()
  await using one = await OtherProcess.open(home.path)
  await using two = await OtherProcess.open(home.path)
  for (let round = 0; round < 10; round++) {
    const order = { do: 'create', options: smallBox, name: `name-${round}` } as const
    const outcomes = await Promise.all([one.tell(order), two.tell(order)])
    assert.deepEqual(outcomes.map(({ code }) => code ?? 'created').sort(), ['already_exists', 'created'])
  }
  assert.equal((await home.runtime.list()).length, 10)
})

test('processes that start one box at once share one VM', async () => {
  await using home = await openTestHome()
  await using one = await OtherProcess.open(home.path)
  await using two = await OtherProcess.open(home.path)
  const box = await home.runtime.create(detached)
  const start = { do: 'start', box: box.id } as const
  await Promise.all([one.value(start), two.value(start), box.start()])
  const { shims, vmms } = engineOf(box.id)
  assert.deepEqual([shims.length, vmms.length], [1, 1])
  const infos = await Promise.all([one, two].map(other => other.value({ do: 'info', box: box.id })))
  assert.deepEqual(
    infos.map(info => (info as BoxInfo).pid),
    [shims[0], shims[0]],
  )
  assert.equal((await startsOf(home.runtime, box.id)).length, 1)
})

test('a box that is removed while another process uses it: typed errors, soon, and nothing is left', async () => {
  await using home = await openTestHome()
  await using other = await OtherProcess.open(home.path)
  const { id } = await home.runtime.create(detached)
  await other.run(id, 'true')
  const busy = [1, 2, 3].map(() => other.tell({ do: 'run', box: id, command: ['sleep', '300'] }))
  const hammers = [1, 2, 3].map(() => hammering(other, id))
  await eventually('the commands run', async () => (await home.runtime.get(id)).top().then(hasThreeSleeps))
  await home.runtime.remove(id, { force: true })
  const outcomes = await within(answerDeadlineMs, Promise.all([...busy, ...hammers]))
  for (const [index, outcome] of outcomes.entries()) {
    // A new command may find the box on its way out; one that ran does not.
    const codes = index < busy.length ? ['stopped', 'not_found'] : ['stopped', 'not_found', 'invalid_state']
    assert.ok(codes.includes(outcome.code ?? 'none'), JSON.stringify(outcome))
  }
  assert.equal((await other.tell({ do: 'start', box: id })).code, 'not_found')
  await assertGone(home.path, id)
})

test('a process that is killed while it holds the lock of a box blocks nobody', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create(detached)
  await using other = await OtherProcess.open(home.path)
  // 1. It stands still in the midst of a start, and so holds the lock.
  const { begun: started } = await afterEvent(home.runtime, box, 'starting', () =>
    other.tell({ do: 'start', box: box.id }),
  )
  other.signal('SIGSTOP')
  let isDone = false
  const stopped = box.stop().then(() => {
    isDone = true
  })
  // Many times as long as a waiter takes to look again.
  await new Promise(resolve => setTimeout(resolve, 300))
  assert.equal(isDone, false)
  // 2. With its end the lock is free.
  await other.kill()
  assert.equal((await started).code, 'died')
  await within(answerDeadlineMs, stopped)
  assert.equal((await box.run('echo', ['free'])).text, 'free\n')
})

test('a box whose starter dies with its shim on the way is started by the next at once, as one VM', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create(detached)
  for (const step of ['start: pid file written', 'start: shim launched', 'shim: launched']) {
    await using other = await OtherProcess.open(home.path, { COFFER_FAULT_AT: step })
    await other.tell({ do: 'start', box: box.id })
    assert.equal((await box.run('echo', [step])).text, `${step}\n`)
    const { shims, vmms } = engineOf(box.id)
    assert.deepEqual([shims, vmms.length], [[(await box.info()).pid], 1], step)
    await box.stop({ timeoutMs: 0 })
    await assertReaped(home.path, box.id)
  }
})

test('a stop during a start waits for it, then stops the box', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create(detached)
  await using other = await OtherProcess.open(home.path)
  const { begun: started } = await afterEvent(home.runtime, box, 'starting', () =>
    other.tell({ do: 'start', box: box.id }),
  )
  await box.stop()
  assert.equal((await started).code, undefined)
  assert.equal((await box.info()).status, 'stopped')
  await assertReaped(home.path, box.id)
})

test('a removal during a start waits for it: refused when the box then runs, by force it ends it', async () => {
  await using home = await openTestHome()
  await using other = await OtherProcess.open(home.path)
  const box = await home.runtime.create(detached)
  const start = (): Promise<{ begun: Promise<Outcome> }> =>
    afterEvent(home.runtime, box, 'starting', () => other.tell({ do: 'start', box: box.id }))
  const { begun: started } = await start()
  await assert.rejects(home.runtime.remove(box.id), error => isCofferError(error, 'invalid_state'))
  assert.equal((await started).code, undefined)
  await box.stop()
  const { begun: again } = await start()
  await home.runtime.remove(box.id, { force: true })
  assert.equal((await again).code, undefined)
  await assertGone(home.path, box.id)
})

test('a removal during a creation removes the box or finds none', async () => {
  await using home = await openTestHome()
  await using one = await OtherProcess.open(home.path)
  await using two = await OtherProcess.open(home.path)
  for (let round = 0; round < 20; round++) {
    const name = `name-${round}`
    const [created, removed] = await Promise.all([
      one.tell({ do: 'create', options: smallBox, name }),
      two.tell({ do: 'remove', box: name, force: true }),
    ])
    assert.equal(created.code, undefined)
    const isThere = (await home.runtime.list()).some(info => info.name === name)
    assert.equal(removed.code, isThere ? 'not_found' : undefined)
  }
})

test('a command for a box that is stopping is refused; a start waits for the end and starts it again', async () => {
  await using home = await openTestHome()
  await using other = await OtherProcess.open(home.path)
  const box = await home.runtime.create(detached)
  const execution = await box.exec('sh', ['-c', deaf])
  await once(execution.stdout, 'data')
  const before = (await box.info()).pid
  const { begun: stopped } = await afterEvent(home.runtime, box, 'stopping', () =>
    other.tell({ do: 'stop', box: box.id, timeoutMs: 2_000 }),
  )
  await assert.rejects(box.run('true'), error => isCofferError(error, 'invalid_state'))
  assert.equal((await box.info()).status, 'stopping')
  await box.start()
  assert.equal((await stopped).code, undefined)
  const { status, pid } = await box.info()
  assert.equal(status, 'running')
  assert.notEqual(pid, before)
  assert.equal((await box.run('echo', ['again'])).text, 'again\n')
})

test('a box that another process has just stopped or started is used as if this one had', async () => {
  await using home = await openTestHome()
  await using other = await OtherProcess.open(home.path)
  const box = await home.runtime.create(detached)
  for (let round = 0; round < 5; round++) {
    assert.equal((await box.run('echo', ['here'])).text, 'here\n')
    await other.value({ do: 'stop', box: box.id, timeoutMs: 0 })
    assert.equal((await box.run('echo', ['here'])).text, 'here\n')
    await box.stop({ timeoutMs: 0 })
    assert.equal(await other.run(box.id, 'echo', 'there'), 'there\n')
  }
})

test('a stop that comes while a box ends by itself keeps its policy from starting it again', async () => {
  await using home = await openTestHome()
  await using other = await OtherProcess.open(home.path)
  const box = await home.runtime.create({ ...detached, restart: 'always', command: ['sleep', '300'] })
  await box.start()
  await box.exec('sh', ['-c', deaf])
  // Its main process ends, and the deaf one makes the end of the box last.
  await afterEvent(home.runtime, box, 'stopping', () => box.executions.kill('main'))
  await other.value({ do: 'stop', box: box.id })
  const { status, restart } = await box.info()
  assert.deepEqual([status, restart.count, restart.nextAt], ['stopped', 0, undefined])
  await assertReaped(home.path, box.id)
  assert.equal((await startsOf(home.runtime, box.id)).length, 1)
})

/** Runs one command after another until one fails. */
async function hammering(other: OtherProcess, box: string): Promise<Outcome> {
  for (;;) {
    const outcome = await other.tell({ do: 'run', box, command: ['true'] })
    if (outcome.code !== undefined) return outcome
  }
}

function hasThreeSleeps(processes: readonly { readonly command: string }[]): boolean {
  return processes.filter(({ command }) => command === 'sleep 300').length === 3
}

/** Begins something that causes an event of the box, and returns when the event was seen. */
async function afterEvent<Value>(
  runtime: Runtime,
  { id }: Box,
  wanted: string,
  begin: () => Promise<Value>,
): Promise<{ readonly begun: Promise<Value> }> {
  const controller = new AbortController()
  const seen = Promise.withResolvers<void>()
  const watching = (async () => {
    for await (const { type } of runtime.events({ box: id, signal: controller.signal }))
      if (type === wanted) seen.resolve()
  })()
  const begun = begin()
  await seen.promise
  controller.abort()
  await watching
  return { begun }
}

async function startsOf(runtime: Runtime, box: string): Promise<unknown[]> {
  const events = await Array.fromAsync(runtime.events({ after: 0, follow: false, box }))
  return events.filter(({ type }) => type === 'starting')
}

async function within<Value>(deadlineMs: number, promise: Promise<Value>): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
