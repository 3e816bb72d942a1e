import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Box, isCofferError } from '../../src/index.ts'
import { eventually, openTestHome, smallBox } from '../home.ts'

test('the exit of the main process stops the box and is recorded', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({ ...smallBox, command: ['sh', '-c', 'echo working; exit 7'] }, 'job')
  await box.start()
  const { exitCode, reason } = await box.wait()
  assert.equal(exitCode, 7)
  assert.match(reason, /exit code 7/)
  assert.equal((await box.info()).status, 'stopped')
  assert.equal(await logText(box), 'working\n')
  await assert.rejects(box.run('true'), error => isCofferError(error, 'invalid_state'))
})

test('who attaches before it starts misses no byte, and gets the exit code', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({ ...smallBox, command: ['seq', '1', '300000'] })
  const main = await box.attach()
  const output = await main.output()
  assert.equal(output.exitCode, 0)
  assert.equal(output.text, `${Array.from({ length: 300_000 }, (_, index) => index + 1).join('\n')}\n`)
  assert.equal((await box.wait()).exitCode, 0)
})

test('one MiB on both streams with nobody reading does not block it, and all of it is in the log', async () => {
  await using home = await openTestHome()
  const script =
    'dd if=/dev/zero bs=1k count=1024 2>/dev/null | tr "\\0" o; dd if=/dev/zero bs=1k count=1024 2>/dev/null | tr "\\0" e >&2'
  const box = await home.runtime.create({ ...smallBox, command: ['sh', '-c', script] })
  await box.start()
  assert.equal((await box.wait()).exitCode, 0)
  const bytes = { stdout: 0, stderr: 0 }
  for await (const entry of box.logs()) bytes[entry.stream] += entry.data.length
  assert.deepEqual(bytes, { stdout: 1024 * 1024, stderr: 1024 * 1024 })
})

test('a main process that cannot be run fails the start with its kind, and the handle is not spoilt', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({ ...smallBox, command: ['no-such-program'] })
  for (let attempt = 0; attempt < 2; attempt++)
    await assert.rejects(
      box.start(),
      error => isCofferError(error, 'execution_failed') && error.details['kind'] === 'not_found',
    )
  await assert.rejects(box.attach(), error => isCofferError(error, 'execution_failed'))
  await box.wait()
  assert.equal((await box.info()).status, 'failed')
})

test('entrypoint and command join as in Docker; environment, user and directory are the box’s', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({
    ...smallBox,
    entrypoint: ['sh', '-c', 'echo "$0 $1"; id -u; pwd; echo $GREETING'],
    command: ['zero', 'one'],
    env: { GREETING: 'hi' },
    user: '1000',
    workdir: '/tmp',
  })
  assert.equal((await (await box.attach()).output()).text, 'zero one\n1000\n/tmp\nhi\n')
})

test('a box without a main process idles; attaching to it is refused', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create(smallBox)
  await box.start()
  await assert.rejects(box.attach(), error => isCofferError(error, 'invalid_state'))
  await box.stop()
  assert.equal((await box.wait()).exitCode, undefined)
})

test('commands run beside the main process, and waits end when it does', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({
    ...smallBox,
    command: ['sh', '-c', 'while [ ! -e /tmp/stop ]; do sleep 0.05; done; exit 5'],
  })
  await box.start()
  const beside = await box.exec('sleep', ['300'])
  assert.equal((await box.executions.get('main')).command[0], 'sh')
  await box.shell('touch /tmp/stop')
  const started = performance.now()
  await Promise.allSettled([beside.wait()])
  assert.equal((await box.wait()).exitCode, 5)
  assert.ok(performance.now() - started < 5_000)
})

test('a failed attach does not spoil the box, and a main process is joined late with its tail', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({
    ...smallBox,
    command: ['sh', '-c', 'echo early; read line; echo late'],
    tty: true,
  })
  await box.start()
  await eventually('it has written', async () => (await logText(box)).includes('early'))
  const first = await box.attach()
  await assert.rejects(box.attach(), error => isCofferError(error, 'invalid_state'))
  first.stdin?.write('go\r')
  assert.match((await first.output()).text, /^early\r\n.*late\r\n$/s)
})

test('logs select by stream, time and lines, and follow to the end', async () => {
  await using home = await openTestHome()
  const script = 'echo one; echo two; echo three >&2; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo four'
  const box = await home.runtime.create({ ...smallBox, command: ['sh', '-c', script] })
  await box.start()
  await eventually('three lines are written', async () => (await logText(box)).split('\n').length === 4)
  assert.equal(await logText(box, { streams: ['stderr'] }), 'three\n')
  assert.equal(await logText(box, { lines: 1, streams: ['stdout'] }), 'two\n')
  assert.equal(await logText(box, { since: new Date(Date.now() + 60_000) }), '')
  const following = logText(box, { follow: true })
  await box.shell('touch /tmp/go')
  assert.match(await following, /four\n$/)
})

async function logText(box: Box, options: Parameters<Box['logs']>[0] = {}): Promise<string> {
  let text = ''
  for await (const { data } of box.logs(options)) text += data
  return text
}
