import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseReference } from '../../src/image/reference.ts'
import { scratchDirectory } from '../scratch.ts'
import { type CertificateFiles, makeCertificate } from './certificate.ts'
import { failsWith, openClient, quickRetry } from './client.ts'
import { startFront } from './front.ts'
import { listen } from './listen.ts'

// A registry that is not there at all is told from one that fails: the first at once, the second after all tries.

const scratch = scratchDirectory('unreachable')
let tls: CertificateFiles
before(async () => {
  tls = await makeCertificate(scratch.path, 'unreachable')
})
after(() => scratch[Symbol.dispose]())

/** Whoever waits as often as this says takes seven seconds at least. */
const slowRetry = { attempts: 5, baseDelayMs: 1000, maxDelayMs: 8000, maxRetryAfterMs: 60_000 }
const fastMs = 3000

/** How long `action` takes to fail as `expected` has it. */
async function failureMs(action: Promise<unknown>, expected: (error: unknown) => boolean): Promise<number> {
  const began = performance.now()
  await assert.rejects(action, expected)
  return performance.now() - began
}

test('where nobody listens, the first contact fails at once, with the host and a hint', async () => {
  const listening = await listen(createServer())
  await listening[Symbol.asyncDispose]()
  await using client = openClient({}, { retry: slowRetry })
  const tookMs = await failureMs(
    client.resolve(parseReference(`${listening.host}/team/app`)),
    failsWith('network_unavailable', listening.host, 'ECONNREFUSED', 'Check the name and port'),
  )
  assert.ok(tookMs < fastMs, `after ${tookMs} ms`)
})

test('a certificate that nobody trusts fails at once, with a hint', async () => {
  await using front = await startFront(undefined, tls)
  await using client = openClient({}, { retry: slowRetry })
  const tookMs = await failureMs(
    client.resolve(parseReference(`${front.host}/team/app`)),
    failsWith('network_unavailable', front.host, 'certificate', 'caFile'),
  )
  assert.ok(tookMs < fastMs, `after ${tookMs} ms`)
})

test('https where only http is spoken is tried once more, and the hint says how to set it', async () => {
  let connections = 0
  const server = createServer().on('connection', () => {
    connections += 1
  })
  await using listening = await listen(server)
  const registries = { [listening.host]: { transport: 'https' as const } }
  await using client = openClient({ registries }, { retry: slowRetry })
  const tookMs = await failureMs(
    client.resolve(parseReference(`${listening.host}/team/app`)),
    failsWith('network_unavailable', listening.host, 'transport', 'registries.json'),
  )
  assert.equal(connections, 2)
  assert.ok(tookMs < fastMs, `after ${tookMs} ms`)
})

test('a connection that is cut, also the first one, is made again as often as is due', async () => {
  let connections = 0
  const server = createTcpServer(socket => {
    connections += 1
    socket.on('error', () => {}).once('data', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const host = `127.0.0.1:${address.port}`
  await using client = openClient({ registries: { [host]: { transport: 'http' } } })
  await assert.rejects(client.resolve(parseReference(`${host}/team/app`)), failsWith('network_unavailable'))
  assert.equal(connections, quickRetry.attempts)
  server.close()
})

test('a registry that has answered and is started again is waited for', async () => {
  const server = createServer((_, response) => response.writeHead(404).end())
  const first = await listen(server)
  const reference = parseReference(`${first.host}/team/app`)
  const registries = { [first.host]: { transport: 'http' as const } }
  await using client = openClient({ registries }, { retry: { attempts: 8, baseDelayMs: 50 } })
  await assert.rejects(client.resolve(reference), failsWith('not_found'))
  await first[Symbol.asyncDispose]()
  const waiting = assert.rejects(client.resolve(reference), failsWith('not_found'))
  await sleep(200)
  server.listen(first.port, '127.0.0.1')
  await waiting
  server.close()
  server.closeAllConnections()
})
