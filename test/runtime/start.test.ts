import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Box, isCofferError } from '../../src/index.ts'
import { eventually, openTestHome, processesOf, smallBox, type TestHome } from '../home.ts'

// Starting waits for the guest, for a death and for a deadline at once. Each of the three is made to come first here.

let home: TestHome
let box: Box
before(async () => {
  home = await openTestHome()
  box = await home.runtime.create(smallBox, 'starting')
  await box.start()
  await box.stop({ timeoutMs: 0 })
})
after(() => home[Symbol.asyncDispose]())

test('the death of QEMU during a start is told at once, and the next start works', async () => {
  await failsWhen('qemu-system', 'SIGKILL', /SIGKILL|QEMU/, 5_000)
})

test('the death of the shim during a start is told at once, and the next start works', async () => {
  await failsWhen('coffer-shim', 'SIGKILL', /shim was killed/, 5_000)
})

test('a guest that never answers is given up after 30 s, and the next start works', {
  timeout: 90_000,
}, async () => {
  await failsWhen('qemu-system', 'SIGSTOP', /not ready within 30 s/, 45_000)
})

test('a start that is aborted leaves nothing behind', async () => {
  const controller = new AbortController()
  const started = box.start({ signal: controller.signal })
  await processAppears('qemu-system')
  controller.abort()
  await assert.rejects(started, error => isCofferError(error, 'aborted'))
  await eventually('no process of the box stays', () => processesOf(box.id).length === 0)
  assert.equal((await box.run('echo', ['after'])).text, 'after\n')
  await box.stop({ timeoutMs: 0 })
})

async function failsWhen(
  name: string,
  signal: NodeJS.Signals,
  message: RegExp,
  withinMs: number,
): Promise<void> {
  const begun = performance.now()
  const start = assert.rejects(box.start(), error => {
    assert.ok(isCofferError(error, 'engine_unavailable'), String(error))
    assert.match(error.message, message)
    assert.match(error.message, /console\.log/)
    assert.ok(error.hint)
    return true
  })
  process.kill(await processAppears(name), signal)
  await start
  assert.ok(performance.now() - begun < withinMs)
  await eventually('no process of the box stays', () => processesOf(box.id).length === 0)
  const { status, directory } = await box.info()
  assert.equal(status, 'failed')
  assert.deepEqual(
    readdirSync(directory).filter(file => /sock|pid/.test(file)),
    [],
  )
  assert.equal((await box.run('echo', ['again'])).text, 'again\n')
  await box.stop({ timeoutMs: 0 })
  assert.ok(readFileSync(join(directory, 'exit.json')).length > 0)
}

async function processAppears(name: string): Promise<number> {
  let pid = 0
  await eventually(`${name} runs`, () => {
    const line = processesOf(box.id).find(found => new RegExp(`^\\d+ \\S*${name}`).test(found))
    pid = Number.parseInt(line ?? '', 10)
    return pid > 0
  })
  return pid
}
