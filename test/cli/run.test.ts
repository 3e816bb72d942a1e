import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { cofferForThisFile, exitCode } from './coffer.ts'

const coffer = cofferForThisFile()

test('run prints what the command prints, and nothing else', async () => {
  const { code, stdout } = await coffer.run(['run', '--', 'echo', 'hello'])
  assert.deepEqual([code, stdout], [0, 'hello\n'])
})

test('the image may be named, with or without a separator', async () => {
  for (const words of [
    ['busybox', 'echo', '-n', 'x'],
    ['busybox', '--', 'echo', '-n', 'x'],
  ]) {
    const { code, stdout, stderr } = await coffer.run(['run', ...words])
    assert.deepEqual([code, stdout, stderr], [0, 'x', ''])
  }
})

test('stdout and stderr stay apart, and the exit code is the command’s own', async () => {
  const { code, stdout, stderr } = await coffer.run([
    'run',
    '--',
    'sh',
    '-c',
    'echo out; echo err >&2; exit 42',
  ])
  assert.deepEqual([code, stdout, stderr], [42, 'out\n', 'err\n'])
})

test('a command that a signal ends exits with 128 and the signal', async () => {
  assert.equal((await coffer.run(['run', '--', 'sh', '-c', 'kill -TERM $$'])).code, 143)
})

test('a command that is not there is 127, one that cannot be executed 126, and both say so', async () => {
  const unknown = await coffer.run(['run', '--', 'no-such-command'])
  assert.equal(unknown.code, 127)
  assert.match(unknown.stderr, /^coffer: .*no-such-command/)
  assert.equal((await coffer.run(['run', '--', '/etc'])).code, 126)
})

test('an unknown image or user is a failure of ours, with a hint', async () => {
  const lines = [
    ['--pull', 'never', 'no-such-image', 'true'],
    ['-u', 'nobody-of-that-name', '--', 'true'],
  ]
  for (const words of lines) {
    const { code, stderr } = await coffer.run(['run', ...words])
    assert.equal(code, 125, stderr)
    assert.match(stderr, /^coffer: .+\n {2}hint: .+\n$/)
  }
})

test('environment, directory and user reach the command', async () => {
  const script = 'echo "$A|$B|$PWD|$(id -u)|$NONE|"'
  const words = [
    'run',
    '-e',
    'A=1 2',
    '-e',
    'B',
    '-e',
    'NONE',
    '-w',
    '/tmp',
    '-u',
    '1000:1000',
    '--',
    'sh',
    '-c',
    script,
  ]
  const { stdout, stderr } = await coffer.run(words, '', { B: 'from here' })
  assert.equal(stdout, '1 2|from here|/tmp|1000||\n', stderr)
})

test('a directory to run in is made if it is not there, as Docker does', async () => {
  assert.equal((await coffer.run(['run', '-w', '/no/such/place', '--', 'pwd'])).stdout, '/no/such/place\n')
})

test('an option of the command that Node has too is the command’s', async () => {
  const { code, stdout } = await coffer.run(['run', '--', 'echo', '--env-file', '/no/such/file', '--help'])
  assert.deepEqual([code, stdout], [0, '--env-file /no/such/file --help\n'])
})

test('with -i standard input is passed on, byte for byte', async () => {
  const input = randomBytes(3 * 1024 * 1024 + 1)
  const { code, bytes } = await coffer.run(['run', '-i', '--', 'cat'], input)
  assert.equal(code, 0)
  assert.ok(bytes.equals(input))
})

test('without -i the command finds its input at the end', async () => {
  assert.equal((await coffer.run(['run', '--', 'wc', '-c'], 'not for you')).stdout.trim(), '0')
})

test('without a command, -i feeds a shell', async () => {
  const { code, stdout } = await coffer.run(['run', '-i'], 'echo from a script; exit 3')
  assert.deepEqual([code, stdout], [3, 'from a script\n'])
})

test('a reader that goes away ends the command quietly', { timeout: 60_000 }, async () => {
  const child = coffer.start(['run', '--', 'yes'])
  const [code, errors] = [exitCode(child), text(child.stderr)]
  await once(child.stdout, 'data')
  child.stdout.destroy()
  assert.equal(await code, 141)
  assert.equal(await errors, '')
})

test('SIGTERM and SIGINT are passed on, and the exit code tells of them', { timeout: 60_000 }, async () => {
  for (const [signal, expected] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const child = coffer.start(['run', '--', 'sh', '-c', 'echo ready; sleep 1000'])
    const code = exitCode(child)
    await once(child.stdout, 'data')
    child.kill(signal)
    assert.equal(await code, expected)
  }
})

test('a command that ignores the first signal is killed by the second', { timeout: 60_000 }, async () => {
  const script = 'trap "echo no" INT; echo ready; while :; do sleep 0.1; done'
  const child = coffer.start(['run', '--', 'sh', '-c', script])
  const code = exitCode(child)
  for await (const _ of child.stdout) child.kill('SIGINT')
  assert.equal(await code, 130)
})

test('a command whose time is up is killed', async () => {
  const { code, stderr } = await coffer.run(['run', '--timeout', '500ms', '--', 'sleep', '1000'])
  assert.equal(code, 137)
  assert.match(stderr, /time/)
})

test('a box of run is gone afterwards, unless it is to be kept', async () => {
  assert.equal((await coffer.run(['ps', '-aq'])).stdout, '')
  assert.equal(
    (await coffer.run(['run', '--keep', '--name', 'kept', '--', 'sh', '-c', 'echo mark > /root/mark'])).code,
    0,
  )
  const [box] = JSON.parse((await coffer.run(['ps', '-a', '--json'])).stdout)
  assert.deepEqual([box.name, box.status], ['kept', 'stopped'])
  assert.equal((await coffer.run(['exec', 'kept', 'cat', '/root/mark'])).stdout, 'mark\n')
  assert.equal((await coffer.run(['rm', '-f', 'kept'])).stdout, 'kept\n')
})
