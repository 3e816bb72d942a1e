import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isCofferError } from '../../src/index.ts'
import { eventually, openTestHome, smallBox, type TestHome } from '../home.ts'

let home: TestHome
before(async () => {
  home = await openTestHome()
})
after(() => home[Symbol.asyncDispose]())

const quick = { intervalMs: 100, timeoutMs: 2_000, retries: 2 }

test('a command says whether a box is healthy, and what it prints is kept', async () => {
  const healthCheck = { ...quick, command: 'cat /ok && echo fine' }
  const box = await home.runtime.create({ ...smallBox, healthCheck })
  await box.start()
  await eventually('it is unhealthy', async () => (await box.info()).health.status === 'unhealthy')
  const sick = (await box.info()).health
  assert.ok(sick.failures >= 2)
  assert.match(sick.lastOutput ?? '', /No such file/)
  assert.ok(sick.lastCheckAt && Date.now() - sick.lastCheckAt.getTime() < 10_000)
  await box.shell('touch /ok')
  await box.waitUntilHealthy({ timeoutMs: 10_000 })
  const well = (await box.info()).health
  assert.equal(well.failures, 0)
  assert.equal(well.lastOutput, 'fine')
  // Its checks are nobody else's executions.
  assert.deepEqual(await box.executions.list(), [])
  const seen: unknown[] = []
  for await (const { type, details } of home.runtime.events({ after: 0, follow: false, box: box.id }))
    if (type === 'health') seen.push(details['status'])
  assert.deepEqual(seen, ['starting', 'unhealthy', 'healthy'])
  await box.stop({ timeoutMs: 0 })
  assert.equal((await box.info()).health.status, 'none')
})

test('a port that accepts connections is healthy, also one that opens later', async () => {
  const box = await home.runtime.create({
    ...smallBox,
    healthCheck: { ...quick, port: 8080 },
    command: ['sh', '-c', 'sleep 1; echo opening; exec httpd -f -p 8080'],
  })
  await box.start()
  assert.equal((await box.info()).health.status, 'starting')
  assert.equal(await box.waitForLog('opening', { timeoutMs: 10_000 }), 'opening')
  await box.waitForPort(8080, { timeoutMs: 10_000 })
  await box.waitUntilHealthy({ timeoutMs: 10_000 })
  await assert.rejects(box.waitForPort(81, { timeoutMs: 300 }), error => isCofferError(error, 'timeout'))
  await assert.rejects(box.waitForPort(81, { signal: AbortSignal.abort() }), error =>
    isCofferError(error, 'aborted'),
  )
  await box.stop({ timeoutMs: 0 })
})

test('failures within the start period do not count', async () => {
  const healthCheck = { ...quick, command: ['false'], startPeriodMs: 60_000 }
  const box = await home.runtime.create({ ...smallBox, healthCheck })
  await box.start()
  await eventually('a check was made', async () => (await box.info()).health.lastCheckAt !== undefined)
  const { status, failures } = (await box.info()).health
  assert.deepEqual({ status, failures }, { status: 'starting', failures: 0 })
  await box.stop({ timeoutMs: 0 })
})

test('a check that hangs has failed after its timeout', async () => {
  const healthCheck = { command: ['sleep', '60'], intervalMs: 50, timeoutMs: 200, retries: 1 }
  const box = await home.runtime.create({ ...smallBox, healthCheck })
  await box.start()
  await eventually('it is unhealthy', async () => (await box.info()).health.status === 'unhealthy')
  assert.match((await box.info()).health.lastOutput ?? '', /longer than 200 ms/)
  await box.stop({ timeoutMs: 0 })
})

test('waiting for a line finds it whole or matched, and ends with the box', async () => {
  const box = await home.runtime.create({
    ...smallBox,
    command: ['sh', '-c', 'echo one; printf "listening "; sleep 0.3; echo on 80; sleep 0.5'],
  })
  await box.start()
  assert.equal(await box.waitForLog(/listening on \d+/, { timeoutMs: 10_000 }), 'listening on 80')
  await assert.rejects(box.waitForLog('never', { timeoutMs: 20_000 }), error =>
    isCofferError(error, 'stopped'),
  )
})

test('checks that cannot be are refused, and waiting for what is not checked too', async () => {
  for (const healthCheck of [
    {},
    { command: 'a', port: 1 },
    { port: 0 },
    { command: [] },
    { port: 1, retries: 0 },
  ])
    await assert.rejects(home.runtime.create({ healthCheck }), error =>
      isCofferError(error, 'invalid_argument'),
    )
  const box = await home.runtime.create(smallBox)
  await assert.rejects(box.waitUntilHealthy(), error => isCofferError(error, 'invalid_state'))
})
