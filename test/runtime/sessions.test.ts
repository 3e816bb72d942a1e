import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { windowBytes } from '../../src/guest/protocol.ts'
import { type Box, type Execution, isCofferError, type Runtime } from '../../src/index.ts'
import { eventually, openTestHome, smallBox, type TestHome } from '../home.ts'
import { inspect } from '../inspect.ts'

let home: TestHome
let other: Runtime
let box: Box
let same: Box
before(async () => {
  home = await openTestHome()
  other = await home.open()
  box = await home.runtime.create(smallBox, 'sessions')
  same = await other.get('sessions')
  await box.start()
})
after(async () => {
  await other.shutdown()
  await home[Symbol.asyncDispose]()
})

test('a detached execution runs on when its client goes, and another gets what was missed, then what comes', async () => {
  const leaving = await home.open()
  const first = await (await leaving.get('sessions')).exec(
    'sh',
    ['-c', 'echo one; sleep 0.2; echo two; read line; echo "got $line"'],
    {
      detach: true,
      stdin: 'pipe',
    },
  )
  await leaving.shutdown()
  await eventually('nobody is attached', async () => !(await box.executions.get(first.id)).attached)
  await new Promise(resolve => setTimeout(resolve, 400))
  const second = await same.executions.attach(first.id)
  assert.equal(second.pid, first.pid)
  second.stdin?.end('three\n')
  const { text, exitCode } = await second.output()
  assert.match(text, /(one\n)?two\ngot three\n$/)
  assert.equal(exitCode, 0)
})

test('an execution that is not detached ends with its client', async () => {
  const leaving = await home.open()
  const execution = await (await leaving.get('sessions')).exec('sleep', ['300'])
  await leaving.shutdown()
  await eventually('its process is gone', async () =>
    (await box.top()).every(({ pid }) => pid !== execution.pid),
  )
})

test('leaving keeps the process, and the way back misses nothing', async () => {
  const execution = await box.exec('sh', ['-c', 'echo before; read line; echo after; echo "$line"; exit 3'], {
    stdin: 'pipe',
  })
  assert.equal(await firstChunk(execution.stdout), 'before\n')
  await execution.detach()
  await assert.rejects(execution.wait(), error => isCofferError(error, 'aborted'))
  const back = await box.executions.attach(execution.id)
  back.stdin?.write('hello\n')
  const output = await back.output()
  assert.equal(output.text, 'after\nhello\n')
  assert.equal(output.exitCode, 3)
})

test('an execution that ended while nobody was there is kept with its code and the tail of its output', async () => {
  const execution = await box.exec('sh', ['-c', 'seq 1 200000; echo err >&2; exit 9'], { detach: true })
  await execution.detach()
  await eventually('it has ended', async () => (await box.executions.get(execution.id)).result !== undefined)
  const info = await same.executions.get(execution.id)
  assert.equal(info.result?.exitCode, 9)
  assert.deepEqual(info.command.slice(0, 2), ['sh', '-c'])
  const output = await (await same.executions.attach(execution.id)).output()
  assert.equal(output.exitCode, 9)
  assert.ok(output.text.endsWith('199999\n200000\n'))
  assert.ok(output.stdout.length <= 256 * 1024)
})

test('an execution that is started unread keeps its output from the first byte, however soon its client goes', async () => {
  for (let round = 0; round < 5; round++) {
    const leaving = await home.open()
    const { id } = await (await leaving.get('sessions')).executions.start('sh', [
      '-c',
      'echo first; sleep 0.1; echo second',
    ])
    await leaving.shutdown()
    assert.equal((await (await same.executions.attach(id)).output()).text, 'first\nsecond\n')
  }
  await assert.rejects(box.executions.start('no-such-command'), error =>
    isCofferError(error, 'execution_failed'),
  )
})

test('leaving and closing in one breath leaves the process running', async () => {
  const leaving = await home.open()
  const execution = await (await leaving.get('sessions')).exec('sleep', ['298'])
  await execution.detach()
  await leaving.shutdown()
  await new Promise(resolve => setTimeout(resolve, 200))
  assert.equal((await box.executions.get(execution.id)).result, undefined)
  await box.executions.kill(execution.id)
})

test('leaving in the middle of output harms nothing else on the connection', async () => {
  for (let round = 0; round < 20; round++) {
    const flood = await box.exec('cat', ['/dev/zero'])
    flood.stdout.resume()
    await new Promise(resolve => flood.stdout.once('data', resolve))
    await flood.detach()
    assert.equal((await box.run('echo', [`${round}`])).text, `${round}\n`)
    await box.executions.kill(flood.id)
  }
})

test('one client at a time is attached, and an unknown execution is not_found', async () => {
  const execution = await box.exec('sleep', ['300'], { detach: true })
  await assert.rejects(same.executions.attach(execution.id), error => isCofferError(error, 'invalid_state'))
  await assert.rejects(same.executions.attach('000000000000'), error => isCofferError(error, 'not_found'))
  await assert.rejects(same.executions.get('nothing'), error => isCofferError(error, 'not_found'))
  await assert.rejects(same.executions.kill('000000000000'), error => isCofferError(error, 'not_found'))
  await same.executions.kill(execution.id, 'TERM')
  assert.equal((await execution.wait()).signal, 'SIGTERM')
})

test('an execution nobody reads does not block, however much it writes', async () => {
  const execution = await box.exec(
    'sh',
    ['-c', 'dd if=/dev/zero bs=64k count=800 2>/dev/null; echo done >&2'],
    { detach: true },
  )
  await execution.detach()
  await eventually(
    'it has ended',
    async () => (await box.executions.get(execution.id)).result !== undefined,
    30_000,
  )
})

test('events come in order and end with the exit', async () => {
  const execution = await box.exec('sh', ['-c', 'echo out; echo err >&2; exit 4'])
  const types: string[] = []
  for await (const event of execution.events()) {
    types.push(event.type)
    if (event.type === 'started') assert.equal(event.pid, execution.pid)
    if (event.type === 'exited') assert.equal(event.result.exitCode, 4)
  }
  assert.equal(types[0], 'started')
  assert.equal(types.at(-1), 'exited')
  assert.deepEqual(types.slice(1, -1).sort(), ['stderr', 'stdout'])
})

test('top shows the processes inside with their users', async () => {
  const execution = await box.exec('sleep', ['299'], { user: 'nobody' })
  const processes = await box.top()
  const sleep = processes.find(({ pid }) => pid === execution.pid)
  assert.equal(sleep?.uid, 65534)
  assert.match(sleep?.command ?? '', /sleep 299/)
  await execution.kill()
})

test('a thousand short executions leave no descriptor and no process', async () => {
  const { readdirSync } = await import('node:fs')
  const { pid } = await box.info()
  const descriptors = (): number =>
    readdirSync(`/proc/${pid}/fd`).length + readdirSync('/proc/self/fd').length
  for (let index = 0; index < 20; index++) await box.run('true')
  const before = descriptors()
  for (let round = 0; round < 50; round++) {
    const results: { exitCode: number }[] = await Promise.all(
      Array.from({ length: 20 }, (_, code) => box.shell(`exit ${code}`)),
    )
    assert.deepEqual(
      results.map(({ exitCode }) => exitCode),
      results.map((_, code) => code),
    )
  }
  assert.ok(descriptors() <= before + 2, `${before} → ${descriptors()}`)
  assert.ok((await box.top()).length < 5)
})

test('a reader that discards, one that is slow, and one that never reads: each costs the host a window, however much passes', async () => {
  const { pid } = await box.info()
  await using shim = await inspect(pid ?? 0)
  const flood = (): Promise<Execution> => box.exec('dd', ['if=/dev/zero', 'bs=64k', 'count=4096'])
  const before = { client: heldHere(), shim: await shim.held() }
  const [slow, unread] = await Promise.all([flood(), flood()])
  const crawl = setInterval(() => slow.stdout.read(), 50).unref()
  for (let round = 0; round < 3; round++) {
    const discarding = await flood()
    discarding.stdout.resume()
    assert.equal((await discarding.wait()).exitCode, 0)
    // Two windows, wherever between the guest and the readers they are, and the last frames of a socket, which Node keeps until the next.
    const [client, shimHeld] = [heldHere() - before.client, (await shim.held()) - before.shim]
    assert.ok(client + shimHeld < 8 * windowBytes, `client ${client}, shim ${shimHeld}`)
  }
  clearInterval(crawl)
  await Promise.all([slow.killTree(), unread.killTree()])
})

async function firstChunk(stream: Readable): Promise<string> {
  return new Promise(resolve => stream.once('data', chunk => resolve(String(chunk))))
}

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Bytes in buffers that something still refers to, in this process. */
function heldHere(): number {
  // What the first finds dead is swept beside the program, and counted off by the second.
  collect()
  collect()
  return process.memoryUsage().external
}
