import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { cofferForThisFile, exitCode } from './coffer.ts'
import { startOnTerminal } from './terminal.ts'

const coffer = cofferForThisFile()
const small = ['--memory', '192m']
const deadline = { timeout: 120_000 }

test(
  'a main process: created, attached without losing a byte, its end the end of the box',
  deadline,
  async () => {
    const script = 'echo out; echo err >&2; exit 4'
    assert.equal((await coffer.run(['create', '--name', 'job', ...small, '--', 'sh', '-c', script])).code, 0)
    const { code, stdout, stderr } = await coffer.run(['attach', 'job'])
    assert.deepEqual([code, stdout], [4, 'out\n'])
    assert.match(stderr, /^(coffer: .+ …\n)*err\n$/)
    assert.deepEqual(await coffer.run(['wait', 'job']).then(ended => [ended.code, ended.stdout]), [0, '4\n'])
    assert.equal(JSON.parse((await coffer.run(['inspect', 'job'])).stdout)[0].status, 'stopped')
  },
)

test('its log is read after the end: streams, lines, times', deadline, async () => {
  const all = await coffer.run(['logs', 'job'])
  assert.deepEqual([all.code, all.stdout, all.stderr], [0, 'out\n', 'err\n'])
  assert.equal((await coffer.run(['logs', '--stream', 'stderr', 'job'])).stdout, '')
  assert.equal((await coffer.run(['logs', '--since', '1h', 'job'])).stdout, 'out\n')
  assert.equal((await coffer.run(['logs', '--since', '2100-01-01T00:00:00Z', 'job'])).stdout, '')
  assert.match((await coffer.run(['logs', '-t', 'job'])).stdout, /^\d{4}-\d{2}-\d{2}T[\d:.]+Z out\n$/)
  assert.equal((await coffer.run(['logs', '--console', 'job'])).code, 0)
})

test(
  'a box whose main process has ended runs no other command, unless it is started again',
  deadline,
  async () => {
    const { code, stderr } = await coffer.run(['exec', 'job', 'true'])
    assert.equal(code, 125)
    assert.match(stderr, /main process[\s\S]*coffer start job/)
  },
)

test('run -d prints the box; logs -f follows it; wait and kill', deadline, async () => {
  const script = 'i=0; while [ $i -lt 3 ]; do echo line $i; i=$((i + 1)); done; sleep 1000'
  const made = await coffer.run(['run', '-d', ...small, '--name', 'service', '--', 'sh', '-c', script])
  assert.equal(made.code, 0, made.stderr)
  assert.match(made.stdout, /^[0-9A-Za-z]{12}\n$/)
  const follower = coffer.start(['logs', '-f', '-n', '2', 'service'])
  const [followed, output] = [exitCode(follower), text(follower.stdout)]
  const waiter = coffer.start(['wait', 'service', 'job'])
  const waited = text(waiter.stdout)
  assert.match((await coffer.run(['executions', 'service'])).stdout, /\nmain +\d+ +running +no /)
  assert.equal((await coffer.run(['exec', 'service', 'echo', 'beside'])).stdout, 'beside\n')
  assert.equal((await coffer.run(['kill', '-s', 'TERM', 'service'])).code, 0)
  assert.equal(await waited, '143\n4\n')
  assert.equal(await followed, 0)
  assert.match(await output, /line 2\n$/)
})

test('a reader of logs -f that goes away ends it quietly', deadline, async () => {
  await coffer.run([
    'run',
    '-d',
    ...small,
    '--name',
    'talker',
    '--',
    'sh',
    '-c',
    'while :; do echo more; done',
  ])
  const follower = coffer.start(['logs', '-f', 'talker'])
  const [code, errors] = [exitCode(follower), text(follower.stderr)]
  await once(follower.stdout, 'data')
  follower.stdout.destroy()
  assert.equal(await code, 141)
  assert.equal(await errors, '')
  assert.equal((await coffer.run(['rm', '-f', 'talker'])).code, 0)
})

test('a client of attach that goes away leaves the main process running', deadline, async () => {
  await coffer.run([
    'run',
    '-d',
    ...small,
    '--name',
    'stays',
    '--',
    'sh',
    '-c',
    'while :; do echo more; sleep 0.1; done',
  ])
  const client = coffer.start(['attach', 'stays'])
  const code = exitCode(client)
  await once(client.stdout, 'data')
  client.kill('SIGHUP')
  assert.equal(await code, 129)
  assert.match((await coffer.run(['executions', 'stays'])).stdout, /\nmain +\d+ +running /)
  assert.equal((await coffer.run(['stop', 'stays'])).code, 0)
})

test(
  'an entrypoint comes before the command; a main process that is not there is 127, and leaves no box',
  deadline,
  async () => {
    await coffer.run(['create', '--name', 'greeter', ...small, '--entrypoint', 'echo', '--', '-n', 'hello'])
    assert.equal((await coffer.run(['attach', 'greeter'])).stdout, 'hello')
    assert.equal((await coffer.run(['run', ...small, '--entrypoint', 'echo', '--', '-n', 'x'])).stdout, 'x')
    const failed = await coffer.run(['run', '-d', ...small, '--name', 'broken', '--', 'no-such-command'])
    assert.deepEqual([failed.code, failed.stdout], [127, ''])
    assert.match(failed.stderr, /no-such-command/)
    assert.equal((await coffer.run(['inspect', 'broken'])).code, 125)
  },
)

test('run -it can be left; the box runs on until its shell ends', deadline, async () => {
  const first = startOnTerminal(
    coffer,
    `$COFFER run -it --keep --name shell --memory 192m; echo "code $?"; read wait`,
  )
  await first.sees(/# /)
  first.type('mark=kept\r')
  first.type('\u0010\u0011')
  const screen = await first.sees(/code 0/)
  assert.doesNotMatch(screen, /coffer:/)
  first.type('\r')
  await first.ends()
  assert.match((await coffer.run(['ps'])).stdout, /shell/)
  const second = startOnTerminal(coffer, '$COFFER attach shell; exit $?')
  second.type('echo "$mark $((40 + 2))"; exit 5\r')
  await second.sees(/kept 42/)
  assert.equal((await second.ends()).code, 5)
  assert.equal((await coffer.run(['wait', 'shell'])).stdout, '5\n')
})
