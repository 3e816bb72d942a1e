import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parsePortProbed } from '../../src/guest/parse.ts'
import { ExecutionRefused } from '../../src/guest/remote-execution.ts'
import { eventually, Guest } from './guest.ts'

let guest: Guest
before(async () => {
  guest = await Guest.restore()
})
after(() => guest[Symbol.asyncDispose]())

async function isOpen(port: number, timeoutMs = 5_000): Promise<boolean> {
  return parsePortProbed(await guest.request('probePort', { port, timeoutMs })).open
}

function refusedAs(kind: string): (error: unknown) => boolean {
  return error => error instanceof ExecutionRefused && error.failure.kind === kind
}

/** A server that listens and never accepts, with more connections under way than Linux lets wait: further ones get no answer. */
async function clog(port: number): Promise<void> {
  const server = guest.execute({
    argv: ['sh', '-c', `httpd -f -p 127.0.0.1:${port} & echo $! && wait`],
    stdin: false,
  })
  const [pid = ''] = await firstLine(server.stdout)
  await eventually('the server listens', () => isOpen(port))
  await guest.shell(`kill -STOP ${pid}`)
  guest.execute({ argv: ['sh', '-c', `for i in $(seq 20); do sleep 60 | nc 127.0.0.1 ${port} & done; wait`] })
  await eventually('its backlog is full', async () => !(await isOpen(port, 300)))
}

async function firstLine(stream: AsyncIterable<Buffer>): Promise<string[]> {
  for await (const chunk of stream) return chunk.toString().split('\n')
  throw new Error('it ended without a line')
}

test('a port nobody listens on is closed, and that takes no waiting', async () => {
  const startedAt = performance.now()
  assert.equal(await isOpen(4242, 60_000), false)
  assert.ok(performance.now() - startedAt < 30_000)
})

test('a port something listens on is open, on either loopback address', async () => {
  for (const address of ['127.0.0.1:8080', '[::1]:8081', '0.0.0.0:8082']) {
    const port = Number(address.split(':').at(-1))
    assert.equal(await isOpen(port), false)
    await guest.shell(`httpd -p '${address}'`)
    assert.equal(await isOpen(port), true, address)
  }
})

test('a port that gives no answer is closed when the time is up, and nothing waits for it meanwhile', async () => {
  await clog(9000)
  const answers: string[] = []
  const probe = isOpen(9000, 1_500).then(open => answers.push(`probe ${open}`))
  const others = guest.request('ping').then(() => answers.push('ping'))
  await Promise.all([probe, others])
  assert.deepEqual(answers, ['ping', 'probe false'])
})

test('probes at once are bounded, and their places fall free', async () => {
  await clog(9001)
  const probes = Array.from({ length: 33 }, () => isOpen(9001, 1_500))
  const results = await Promise.allSettled(probes)
  assert.deepEqual(
    results.slice(0, 32).map(result => result.status === 'fulfilled' && result.value),
    Array(32).fill(false),
  )
  await assert.rejects(probes[32] ?? Promise.resolve(), refusedAs('resource_limit'))
  assert.equal(await isOpen(8080), true)
})

test('what is no port or no bounded time is refused', async () => {
  for (const parameters of [
    {},
    { port: 0, timeoutMs: 100 },
    { port: 65_536, timeoutMs: 100 },
    { port: 80 },
    { port: 80, timeoutMs: 0 },
    { port: 80, timeoutMs: 3_600_001 },
  ])
    await assert.rejects(guest.request('probePort', parameters), refusedAs('bad_argument'))
})
