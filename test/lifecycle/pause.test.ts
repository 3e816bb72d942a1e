import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Box, isCofferError } from '../../src/index.ts'
import { openTestHome, processesOf, smallBox, type TestHome } from '../home.ts'

let home: TestHome
let box: Box
before(async () => {
  home = await openTestHome()
  box = await home.runtime.create(smallBox, 'still')
  await box.start()
})
after(() => home[Symbol.asyncDispose]())

test('what runs in a paused box stands still and goes on afterwards, several times over', async () => {
  const counter = await box.exec('sh', ['-c', 'while echo tick; do sleep 0.05; done'])
  let ticks = 0
  counter.stdout.on('data', (data: Buffer) => {
    ticks += data.length / 5
  })
  for (let cycle = 0; cycle < 3; cycle++) {
    await box.pause()
    assert.equal((await box.info()).status, 'paused')
    // What was under way when it froze may still arrive.
    await sleep(200)
    const before = ticks
    await sleep(500)
    assert.equal(ticks, before)
    await box.resume()
    assert.equal((await box.info()).status, 'running')
    const goesOn = Promise.withResolvers<void>()
    counter.stdout.once('data', () => goesOn.resolve())
    await goesOn.promise
  }
  await counter.kill()
})

test('pausing a paused box and resuming a running one change nothing', async () => {
  await Promise.all([box.pause(), box.pause()])
  await box.pause()
  assert.equal((await box.info()).status, 'paused')
  await Promise.all([box.resume(), box.resume()])
  await box.resume()
  assert.equal((await box.run('echo', ['on'])).text, 'on\n')
})

test('in a paused box nothing is run, and the error says why', async () => {
  await box.pause()
  for (const attempt of [() => box.run('true'), () => box.start(), () => box.executions.start('true')])
    await assert.rejects(attempt(), error => {
      assert.ok(isCofferError(error, 'invalid_state'), String(error))
      assert.match(error.message, /paused/)
      return true
    })
  await box.resume()
  assert.equal((await box.run('true')).exitCode, 0)
})

test('after a pause the clock of the box is that of the host', async () => {
  await box.pause()
  await sleep(1_500)
  await box.resume()
  const before = Date.now()
  const inside = Number((await box.run('date', ['+%s'])).text) * 1000
  assert.ok(inside >= before - 1_050 && inside <= Date.now() + 50, `${inside - before} ms apart`)
})

test('an execution outlives a pause with its input, its output and its time limit', async () => {
  const cat = await box.exec('cat', [], { stdin: 'pipe', timeoutMs: 5_000 })
  await box.pause()
  cat.stdin?.end('written while it stood still')
  await sleep(300)
  await box.resume()
  assert.equal((await cat.output()).text, 'written while it stood still')
})

test('a paused box can be stopped, its disk written out', async () => {
  await box.shell('echo kept > /file')
  await box.pause()
  const begun = performance.now()
  await box.stop()
  assert.ok(performance.now() - begun < 10_000)
  const { status, reason } = await box.info()
  assert.equal(status, 'stopped')
  assert.match(reason ?? '', /stopped/)
  assert.deepEqual(processesOf(box.id), [])
  assert.equal((await box.run('cat', ['/file'])).text, 'kept\n')
})

test('a paused box can be removed by force', async () => {
  const other = await home.runtime.create(smallBox)
  await other.start()
  await other.pause()
  await assert.rejects(home.runtime.remove(other.id), error => isCofferError(error, 'invalid_state'))
  await home.runtime.remove(other.id, { force: true })
  assert.deepEqual(processesOf(other.id), [])
})

test('a box that does not run is neither paused nor resumed', async () => {
  const idle = await home.runtime.create(smallBox)
  for (const attempt of [() => idle.pause(), () => idle.resume()])
    await assert.rejects(attempt(), error => isCofferError(error, 'invalid_state'))
  assert.equal((await idle.info()).status, 'configured')
})
