import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { type Box, isCofferError } from '../../src/index.ts'
import { eventually, openTestHome, processesOf, smallBox, type TestHome } from '../home.ts'

let home: TestHome
let box: Box
before(async () => {
  home = await openTestHome()
  box = await home.runtime.create(smallBox, 'mortal')
})
after(() => home[Symbol.asyncDispose]())

const deadlineMs = 2_000

test('when the shim is killed, pending calls end with a typed error and the box starts again', async () => {
  const { execution, pid } = await sleeping()
  process.kill(pid, 'SIGKILL')
  const error = await rejectionWithin(execution.wait())
  assert.ok(isCofferError(error, 'engine_unavailable'), String(error))
  assert.match(error.message, /shim was killed/)
  await eventually('no process of the box stays', () => processesOf(home.path).length === 0)
  assert.equal((await box.info()).status, 'stopped')
  assert.equal((await box.run('echo', ['again'])).text, 'again\n')
})

test('when QEMU is killed, the error says so and the record says why', async () => {
  const { execution, pid } = await sleeping()
  for (const qemu of descendantsOf(pid).filter(child => /qemu/.test(nameOf(child))))
    process.kill(qemu, 'SIGKILL')
  const error = await rejectionWithin(execution.wait())
  assert.ok(isCofferError(error, 'engine_unavailable'), String(error))
  assert.match(error.message, /SIGKILL/)
  assert.match(error.message, /console\.log/)
  await eventually('no process of the box stays', () => processesOf(home.path).length === 0)
  const info = await box.info()
  assert.equal(info.status, 'failed')
  assert.match(info.reason ?? '', /SIGKILL/)
  assert.equal((await box.run('echo', ['again'])).text, 'again\n')
})

test('when the box is stopped, its commands get SIGTERM, and who waits for them learns it', async () => {
  const { execution } = await sleeping()
  const [result] = await Promise.all([execution.wait(), box.stop()])
  assert.equal(result.signal, 'SIGTERM')
  assert.equal((await box.info()).status, 'stopped')
  await box.stop()
})

test('when the box is stopped at once, pending calls end with code stopped', async () => {
  const { execution } = await sleeping()
  const pending = rejectionWithin(execution.output())
  await box.stop({ timeoutMs: 0 })
  assert.ok(isCofferError(await pending, 'stopped'))
  assert.equal((await box.info()).status, 'stopped')
  await box.stop()
})

test('a stop without grace does not wait', async () => {
  await box.run('true')
  const started = performance.now()
  await box.stop({ timeoutMs: 0 })
  assert.ok(performance.now() - started < deadlineMs)
  assert.deepEqual(processesOf(home.path), [])
})

test('a process that ignores SIGTERM is killed after the grace', async () => {
  const execution = await box.exec('sh', ['-c', "trap '' TERM; echo deaf; while :; do sleep 1; done"])
  await new Promise(resolve => execution.stdout.once('data', resolve))
  const started = performance.now()
  await box.stop({ timeoutMs: 500 })
  const tookMs = performance.now() - started
  assert.ok(tookMs >= 450 && tookMs < 5_000, `${tookMs}`)
})

test('stop lets a process finish its work at SIGTERM and keeps what it wrote', async () => {
  const execution = await box.exec('sh', [
    '-c',
    "trap 'echo last > /root/last; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
  ])
  await new Promise(resolve => execution.stdout.once('data', resolve))
  await box.stop()
  assert.equal((await box.run('cat', ['/root/last'])).text, 'last\n')
})

test('an attached box ends with the process that started it', async () => {
  const { spawn } = await import('node:child_process')
  const script = `
    import { Runtime } from '${import.meta.dirname}/../../src/index.ts'
    const runtime = await Runtime.open({ home: '${home.path}' })
    const box = await runtime.create(${JSON.stringify(smallBox)}, 'attached')
    await box.run('true')
    console.log((await box.info()).pid)
    setInterval(() => {}, 1000)`
  const owner = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = await new Promise<number>(resolve => owner.stdout.once('data', data => resolve(Number(data))))
  assert.ok(pid > 0)
  owner.kill('SIGKILL')
  await eventually('the shim is gone', () => nameOf(pid) === '', 10_000)
  const attached = await home.runtime.get('attached')
  const info = await attached.info()
  assert.equal(info.status, 'stopped')
  assert.match(info.reason ?? '', /gone/)
})

async function sleeping() {
  const execution = await box.exec('sleep', ['300'])
  const { pid } = await box.info()
  assert.ok(pid)
  return { execution, pid }
}

async function rejectionWithin(promise: Promise<unknown>, withinMs = deadlineMs): Promise<unknown> {
  const started = performance.now()
  const error = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  )
  const tookMs = performance.now() - started
  assert.ok(tookMs < withinMs, `it took ${Math.round(tookMs)} ms`)
  return error
}

function descendantsOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(other => statusOf(other, 'PPid') === `${pid}`)
  return [...children, ...children.flatMap(descendantsOf)]
}

function nameOf(pid: number): string {
  return statusOf(pid, 'Name')
}

function statusOf(pid: number, field: string): string {
  try {
    return new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
  } catch {
    // It is gone.
    return ''
  }
}
