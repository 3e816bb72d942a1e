import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { parseReference } from '../../src/image/reference.ts'
import { collect, describe, failsWith, openClient, quickRetry, uploadImage } from './client.ts'
import { startFront } from './front.ts'
import { blobRequests, name, pushedImageForThisFile, size, twice } from './pushed-image.ts'

// A real registry behind a server that fails, refuses, is silent or gone.

const pushed = pushedImageForThisFile()

test('429 is tried again, not before Retry-After says so', async () => {
  await using front = await startFront(pushed.registry.host)
  const times: number[] = []
  front.answer = ({ path, count, forward, reply }) => {
    if (!path.includes('/manifests/')) return forward()
    times.push(performance.now())
    return count === 1 ? reply(429, { 'retry-after': '1' }) : forward()
  }
  await using client = openClient()
  await client.resolve(parseReference(`${front.host}/${name}`))
  const [first = 0, second = 0] = times
  assert.ok(second - first >= 995, `it was tried again after ${second - first} ms`)
})

test('a registry that wants to be left alone for an hour is left alone: the failure comes at once', async () => {
  await using front = await startFront(pushed.registry.host)
  front.answer = ({ reply }) => reply(429, { 'retry-after': '3600' })
  await using client = openClient()
  await assert.rejects(
    client.resolve(parseReference(`${front.host}/${name}`)),
    failsWith('upstream_unavailable', '429', 'too many requests'),
  )
  assert.equal(front.requests.filter(({ path }) => path.includes('/manifests/')).length, 1)
})

test('500 is tried again until it passes, and not for ever', async () => {
  await using front = await startFront(pushed.registry.host)
  front.answer = ({ count, forward, reply, path }) =>
    path.includes('/manifests/') && count < 3 ? reply(500) : forward()
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  assert.equal((await client.resolve(reference)).digest, pushed.image.descriptor.digest)

  front.answer = ({ reply }) => reply(503)
  front.requests.length = 0
  await assert.rejects(client.resolve(reference), failsWith('upstream_unavailable', '503', front.host))
  assert.equal(front.requests.length, quickRetry.attempts)
})

for (const [status, code] of [
  [403, 'permission_denied'],
  [404, 'not_found'],
  [418, 'image_pull_failed'],
] as const)
  test(`${status} is not tried again and is ${code}`, async () => {
    await using front = await pushed.frontForBlobs(({ reply }) => reply(status))
    await using client = openClient()
    const reference = parseReference(`${front.host}/${name}`)
    await assert.rejects(collect(client.fetchBlob(reference, pushed.image.layerDescriptor)), failsWith(code))
    assert.equal(blobRequests(front).length, 1)
  })

test('what the registry says of a refusal is in the message, on one line and without control characters', async () => {
  const message = 'no\r\nentry\u001b[31m here'
  await using front = await pushed.frontForBlobs(({ reply }) =>
    reply(403, {}, JSON.stringify({ errors: [{ code: 'DENIED', message }] })),
  )
  await using client = openClient()
  await assert.rejects(
    collect(client.fetchBlob(parseReference(`${front.host}/${name}`), pushed.image.layerDescriptor)),
    failsWith('permission_denied', 'DENIED: no entry [31m here'),
  )
})

test('a refusal whose reason drips for ever is told with what came', async () => {
  let drip: NodeJS.Timeout | undefined
  await using front = await pushed.frontForBlobs(({ response }) => {
    response.writeHead(403)
    drip = setInterval(() => response.write(' '), 5)
    response.once('close', () => clearInterval(drip))
  })
  await using client = openClient({}, { timeouts: { refusalMs: 50 } })
  const reference = parseReference(`${front.host}/${name}`)
  const signal = AbortSignal.timeout(10_000)
  await assert.rejects(
    collect(client.fetchBlob(reference, pushed.image.layerDescriptor, { signal })),
    failsWith('permission_denied', '403'),
  )
  assert.equal(signal.aborted, false)
})

test('an answer that does not begin is a timeout', async () => {
  await using front = await startFront()
  front.answer = () => {}
  const registries = { [front.host]: { transport: 'http' as const } }
  await using client = openClient({ registries }, { timeouts: { headersMs: 50 }, retry: twice })
  await assert.rejects(
    client.resolve(parseReference(`${front.host}/${name}`)),
    failsWith('timeout', front.host),
  )
})

test('an abort ends a stalled body, a wait before the next try and a call not begun yet', async () => {
  const controllers = Array.from({ length: 3 }, () => new AbortController())
  const [body, wait, before] = controllers
  assert.ok(body && wait && before)
  await using front = await pushed.frontForBlobs(({ response }) => {
    response.writeHead(200, { 'content-length': String(size) })
    response.write(Buffer.alloc(10), () => body.abort())
  })
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  const fetching = collect(client.fetchBlob(reference, pushed.image.layerDescriptor, { signal: body.signal }))
  await assert.rejects(fetching, failsWith('aborted'))

  front.answer = ({ reply }) => {
    reply(503, { 'retry-after': '2' })
    setTimeout(() => wait.abort(), 20)
  }
  const began = performance.now()
  await assert.rejects(client.resolve(reference, { signal: wait.signal }), failsWith('aborted'))
  assert.ok(performance.now() - began < 1900)

  before.abort()
  const requests = front.requests.length
  await assert.rejects(client.resolve(reference, { signal: before.signal }), failsWith('aborted'))
  assert.equal(front.requests.length, requests)
})

test('a deadline given as a signal is a timeout', async () => {
  await using front = await startFront()
  front.answer = () => {}
  await using client = openClient({ registries: { [front.host]: { transport: 'http' } } })
  await assert.rejects(
    client.resolve(parseReference(`${front.host}/${name}`), { signal: AbortSignal.timeout(50) }),
    failsWith('timeout'),
  )
})

test('a client that was disposed ends what is under way, and begins nothing', async () => {
  let begun = Promise.withResolvers<void>()
  await using front = await pushed.frontForBlobs(({ response }) => {
    response.writeHead(200, { 'content-length': String(size) })
    response.write(Buffer.alloc(10), () => begun.resolve())
  })
  const client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  const fetching = collect(client.fetchBlob(reference, pushed.image.layerDescriptor))
  await begun.promise
  begun = Promise.withResolvers()
  await client[Symbol.asyncDispose]()
  await assert.rejects(fetching, failsWith('stopped'))
  await assert.rejects(client.resolve(reference), failsWith('stopped'))
})

test('an upload that is cut is sent again from the start', async () => {
  await using front = await startFront(pushed.registry.host)
  front.answer = async ({ method, response, forward }) => {
    const puts = front.requests.filter(request => request.method === 'PUT').length
    if (method === 'PUT' && puts === 1) response.destroy()
    else await forward()
  }
  await using client = openClient()
  const layer = randomBytes(500_000)
  const uploaded = await uploadImage(client, `${front.host}/team/cut:1`, layer)
  const reference = parseReference(`${front.host}/team/cut`)
  assert.deepEqual(await collect(client.fetchBlob(reference, uploaded.layerDescriptor)), layer)
})

test('content that cannot be read, or is not as long as it says, is no failure of the network and is sent once', async () => {
  await using client = openClient()
  const reference = parseReference(`${pushed.registry.host}/team/unreadable`)
  let opened = 0
  const upload = (read: () => AsyncGenerator<Uint8Array>) => {
    opened = 0
    const open = () => {
      opened += 1
      return read()
    }
    const { digest } = describe('', Buffer.from(String(read)))
    return client.uploadBlob(reference, { digest, size: 100_000, open })
  }
  const cases: [() => AsyncGenerator<Uint8Array>, string][] = [
    [
      async function* () {
        yield Buffer.alloc(50_000)
        throw new Error('EIO')
      },
      'storage_error',
    ],
    [
      async function* () {
        yield Buffer.alloc(50_000)
      },
      'invalid_argument',
    ],
    [
      async function* () {
        yield Buffer.alloc(60_000)
        yield Buffer.alloc(60_000)
      },
      'invalid_argument',
    ],
  ]
  for (const [read, code] of cases) {
    await assert.rejects(upload(read), failsWith(code, 'content'))
    assert.equal(opened, 1)
  }
})

test('a list of tags on several pages is read to its end, and not in circles', async () => {
  await using front = await startFront()
  front.answer = ({ path, reply }) => {
    const last = new URL(path, front.url).searchParams.get('last')
    const page = last === null ? 1 : Number(last) + 1
    const link = { link: `</v2/team/app/tags/list?n=2&last=${page % 3}>; rel="next"` }
    reply(200, link, JSON.stringify({ name: 'team/app', tags: [`a${page}`, `b${page}`] }))
  }
  await using client = openClient({ registries: { [front.host]: { transport: 'http' } } })
  const tags = await client.listTags(parseReference(`${front.host}/team/app`))
  assert.deepEqual(tags.sort(), ['a1', 'a2', 'a3', 'b1', 'b2', 'b3'])
})
