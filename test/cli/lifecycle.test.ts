import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { BoxInfo } from '../../src/index.ts'
import { Runtime } from '../../src/index.ts'
import { eventually, processesOf } from '../home.ts'
import { cofferForThisFile, exitCode } from './coffer.ts'
import { startOnTerminal } from './terminal.ts'

const coffer = cofferForThisFile()
const small = ['--memory', '192m']
const deadline = { timeout: 120_000 }

async function inspect(name: string): Promise<BoxInfo> {
  await using runtime = await Runtime.open({ home: coffer.home })
  return (await runtime.get(name)).info()
}

async function succeeds(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await coffer.run(words)
  assert.equal(code, 0, stderr)
  return stdout
}

async function refused(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await coffer.run(words)
  assert.deepEqual([code, stdout], [125, ''])
  return stderr
}

/** Types of events, and that alone. */
async function eventTypes(box: string): Promise<string[]> {
  const lines = (await succeeds('events', '--no-follow', '--all', '--json', '--box', box)).split('\n')
  return lines.filter(Boolean).map(line => JSON.parse(line).type)
}

// First, because the home has no template yet: that is the long step there is to interrupt.
test('a signal while the machine is prepared ends the start, the box and the command', deadline, async () => {
  const child = coffer.start(['run', ...small, '--name', 'early', '--', 'true'])
  const [code, output] = [exitCode(child), text(child.stdout)]
  for await (const chunk of child.stderr) if (/template/.test(String(chunk))) break
  child.kill('SIGINT')
  assert.deepEqual([await code, await output], [130, ''])
  assert.equal(await succeeds('ps', '-aq'), '')
  await eventually('nothing is left', () => processesOf(coffer.home).length === 0)
})

test('pause: exec is refused until unpause, and ps tells', deadline, async () => {
  await succeeds('create', ...small, '--name', 'web', '--label', 'tier=front')
  await succeeds('start', 'web')
  assert.equal(await succeeds('pause', 'web'), 'web\n')
  assert.match(await succeeds('ps'), /web +busybox +paused /)
  assert.match(await refused('exec', 'web', 'true'), /paused[\s\S]*hint: .*unpause/)
  assert.match(await refused('start', 'web'), /paused[\s\S]*hint: .*unpause web/)
  assert.equal(await succeeds('pause', 'web'), 'web\n')
  assert.equal(await succeeds('unpause', 'web'), 'web\n')
  assert.equal(await succeeds('exec', 'web', 'echo', 'again'), 'again\n')
  assert.match(await succeeds('ps'), /web +busybox +running \d+ seconds? /)
})

test('ps filters by status, name and label', deadline, async () => {
  await succeeds('create', ...small, '--name', 'idle-one')
  const all = (await succeeds('ps', '-aq')).split('\n')
  assert.equal(all.length, 3)
  assert.equal(await succeeds('ps', '-q', '--filter', 'label=tier=front'), `${all[1]}\n`)
  assert.equal(await succeeds('ps', '-q', '-f', 'status=configured'), `${all[0]}\n`)
  assert.equal(await succeeds('ps', '-aq', '-f', 'name=one', '-f', 'label=tier'), '')
})

test('a pause of a box that does not run, or is not there, is refused', deadline, async () => {
  assert.match(await refused('pause', 'idle-one'), /not running[\s\S]*hint: /)
  assert.match(await refused('unpause', 'no-such-box'), /no-such-box[\s\S]*hint: /)
})

test('restart ends what ran, keeps the disk and starts the box', deadline, async () => {
  await succeeds('exec', 'web', 'sh', '-c', 'echo kept > /root/mark')
  const { startedAt } = await inspect('web')
  assert.equal(await succeeds('restart', '-t', '3', 'web'), 'web\n')
  const after = await inspect('web')
  assert.equal(after.status, 'running')
  assert.notDeepEqual(after.startedAt, startedAt)
  assert.equal(await succeeds('exec', 'web', 'cat', '/root/mark'), 'kept\n')
})

test('stop -t 0 is at once, and the events tell of the life of the box in order', deadline, async () => {
  assert.equal(await succeeds('stop', '-t', '0', 'web'), 'web\n')
  assert.equal((await inspect('web')).status, 'stopped')
  assert.match(await succeeds('ps', '-a'), /web +busybox +stopped \d+ seconds? ago /)
  await succeeds('rm', 'web')
  const types = (await eventTypes('web')).filter(type => !type.startsWith('exec_'))
  assert.deepEqual(types, [
    ...['created', 'starting', 'started', 'paused', 'resumed', 'stopping', 'stopped'],
    ...['starting', 'started', 'stopping', 'stopped', 'removed'],
  ])
})

test('events follows, resumes behind a cursor, and Ctrl-C ends it well', deadline, async () => {
  const last = (await succeeds('events', '--no-follow', '--json')).trim().split('\n').at(-1) ?? ''
  const { cursor } = JSON.parse(last)
  await succeeds('create', '--name', 'later')
  const child = coffer.start(['events', '--json', '--since', String(cursor)])
  const code = exitCode(child)
  const [chunk] = await once(child.stdout, 'data')
  const event = JSON.parse(String(chunk))
  assert.deepEqual([event.cursor, event.type, event.boxName], [cursor + 1, 'created', 'later'])
  child.kill('SIGINT')
  assert.equal(await code, 0)
})

test('a reader of events that goes away ends it quietly', deadline, async () => {
  const child = coffer.start(['events', '--all'])
  const [code, errors] = [exitCode(child), text(child.stderr)]
  const [chunk] = await once(child.stdout, 'data')
  assert.match(String(chunk), /^\d{4}-[\d-]+T[\d:.]+Z {2}\w+ +created\n/)
  child.stdout.destroy()
  await succeeds('rm', 'later')
  assert.equal(await code, 141)
  assert.equal(await errors, '')
})

test('prune removes what does not run, and names it; on a terminal it asks', deadline, async () => {
  const asked = startOnTerminal(coffer, '$COFFER prune; echo "code $?"')
  await asked.sees(/idle-one\s+Remove this box and its disk\? \[y\/N\] /)
  asked.type('no\r')
  await asked.sees(/code 0/)
  await asked.ends()
  assert.equal((await inspect('idle-one')).status, 'configured')
  const running = (await succeeds('run', '-d', ...small, '--', 'sleep', '1000')).trim()
  assert.equal(await succeeds('prune', '--force'), 'idle-one\n')
  assert.deepEqual(JSON.parse(await succeeds('prune', '-f', '--json')), [])
  assert.equal((await succeeds('ps', '-aq')).trim(), running)
  await succeeds('rm', '-f', running)
})

test('a command that keeps failing is started again as often as its policy says', deadline, async () => {
  const words = ['--restart', 'on-failure:2', '--', 'sh', '-c', 'echo run; exit 3']
  await succeeds('run', '-d', ...small, '--name', 'failing', ...words)
  // Two restarts after the first run, and none after that.
  const watcher = coffer.start(['events', '--all', '--box', 'failing'])
  const ends: string[] = []
  for await (const line of createInterface({ input: watcher.stdout })) {
    if (!/ stopped /.test(line)) continue
    if (ends.push(line) === 3) watcher.kill('SIGINT')
  }
  assert.match(ends.at(-1) ?? '', / failing +stopped +its main process ended with exit code 3$/)
  assert.match(await succeeds('ps', '-a'), /failing +busybox +stopped .*\(exit 3\)/)
  const { status, restart } = await inspect('failing')
  assert.equal(status, 'stopped')
  assert.deepEqual([restart.policy, restart.count, restart.cause], ['on-failure:2', 2, 'main_exited'])
  assert.equal(restart.nextAt, undefined)
  const inspected = JSON.parse(await succeeds('inspect', 'failing'))
  assert.deepEqual([inspected[0].restart.count, inspected[0].health.status], [2, 'none'])
  assert.equal(await succeeds('logs', 'failing'), 'run\nrun\nrun\n')
})

test('ps shows health, and wait waits for it, for a port and for a line', deadline, async () => {
  const check = ['--health-cmd', 'test -e /tmp/ok', '--health-interval', '50ms']
  const service = 'echo listening now; exec httpd -f -p 8080'
  await succeeds('run', '-d', ...small, '--name', 'checked', ...check, '--', 'sh', '-c', service)
  assert.match(await refused('wait', '--healthy', '--timeout', '1ms', 'checked'), /1 ms/)
  const waiter = coffer.start(['wait', '--healthy', 'checked'])
  const [code, output] = [exitCode(waiter), text(waiter.stdout)]
  await succeeds('exec', 'checked', 'touch', '/tmp/ok')
  assert.deepEqual([await code, await output], [0, 'checked\n'])
  assert.match(await succeeds('ps'), /checked +busybox +running \d+ seconds? \(healthy\)/)
  assert.equal(await succeeds('wait', '--port', '8080', 'checked'), 'checked\n')
  assert.equal(await succeeds('wait', '--log', 'listening', 'checked'), 'listening now\n')
  assert.match(await refused('wait', '--timeout', '1ms', 'checked'), /1 ms/)
  await succeeds('rm', '-f', 'checked')
  assert.match(await refused('wait', '--healthy', 'failing'), /no health check[\s\S]*--health-cmd/)
})

test('a box that idles stops itself, with nobody there', deadline, async () => {
  await succeeds('run', '-d', ...small, '--name', 'lazy', '--idle-timeout', '1s', '--', 'sleep', '1000')
  assert.ok(processesOf(coffer.home).every(line => /coffer-shim|qemu|bwrap/.test(line)))
  await eventually('its end', () => processesOf(coffer.home).length === 0)
  const { status, reason } = await inspect('lazy')
  assert.equal(status, 'stopped')
  assert.match(reason ?? '', /idle/)
})

test('a box stops when its time is up, and run says why', deadline, async () => {
  const { code, stderr } = await coffer.run([
    'run',
    ...small,
    '--max-duration',
    '500ms',
    '--',
    'sleep',
    '1000',
  ])
  assert.equal(code, 143)
  assert.match(stderr, /coffer: the box was stopped: .*maximum duration\n$/)
})

test('a signal to run lets the command end and the guest write its disk', deadline, async () => {
  const script = 'trap "echo bye > /root/mark; exit 0" TERM; echo ready; while :; do sleep 0.1; done'
  const child = coffer.start(['run', ...small, '--keep', '--name', 'kept', '--', 'sh', '-c', script])
  const code = exitCode(child)
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  assert.equal(await code, 0)
  assert.equal((await inspect('kept')).status, 'stopped')
  assert.equal(await succeeds('exec', 'kept', 'cat', '/root/mark'), 'bye\n')
  await succeeds('stop', '-t', '0', 'kept')
})

test(
  'start stays with a box that goes with its starter, and a signal shuts it down cleanly',
  deadline,
  async () => {
    await using runtime = await Runtime.open({ home: coffer.home })
    await runtime.create(
      { memoryMib: 192, command: ['sh', '-c', 'echo mark > /root/mark; sleep 1000'] },
      'bound',
    )
    for (const [signal, expected] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const child = coffer.start(['start', 'bound'])
      const code = exitCode(child)
      for await (const chunk of child.stderr) if (/attached/.test(String(chunk))) break
      assert.equal((await inspect('bound')).status, 'running')
      child.kill(signal)
      assert.equal(await code, expected)
      const { status, reason } = await inspect('bound')
      assert.deepEqual([status, reason], ['stopped', 'the box was stopped'])
    }
    await eventually('nothing is left', () => processesOf(coffer.home).length === 0)
  },
)
