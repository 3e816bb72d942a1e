import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference, referenceCandidates } from '../../src/image/reference.ts'
import type { RegistryOptions } from '../../src/image/registry/settings.ts'
import { collect, failsWith, knownUser, openClient, uploadImage } from './client.ts'
import { type Front, isBlob, startFront } from './front.ts'
import { name, pushedImageForThisFile } from './pushed-image.ts'

const pushed = pushedImageForThisFile()

function mirrored(front: Front, ...mirrors: string[]): RegistryOptions {
  return { registries: { [front.host]: { transport: 'http', mirrors } } }
}

async function pull(client: ReturnType<typeof openClient>, front: Front): Promise<Buffer> {
  const reference = parseReference(`${front.host}/${name}`)
  const { manifest } = await client.fetchImage(reference)
  const [layer] = manifest.layers
  assert.ok(layer)
  return await collect(client.fetchBlob(reference, layer))
}

test('a mirror gives everything, and the registry itself is not asked', async () => {
  await using origin = await startFront()
  await using client = openClient(mirrored(origin, pushed.registry.host))
  assert.deepEqual(await pull(client, origin), pushed.image.layer)
  assert.equal(origin.requests.length, 0)
})

test('a mirror may have the repositories below a path of its own', async () => {
  await using origin = await startFront()
  await using writer = openClient()
  const { layer } = await uploadImage(writer, `${pushed.registry.host}/proxy/hub/${name}`)
  await using client = openClient(mirrored(origin, `${pushed.registry.host}/proxy/hub`))
  assert.deepEqual(await pull(client, origin), layer)
})

for (const [title, answer] of [
  ['is not there', undefined],
  ['fails', ({ reply }) => reply(500)],
  ['has nothing', ({ reply }) => reply(404)],
  ['wants credentials', ({ reply }) => reply(401, { 'www-authenticate': 'Basic realm="mirror"' })],
  ['answers with a page', ({ reply }) => reply(200, { 'content-type': 'text/html' }, '<html>')],
] as [string, Front['answer'] | undefined][])
  test(`the registry itself gives what a mirror does not that ${title}`, async () => {
    await using origin = await startFront(pushed.registry.host)
    await using mirror = await startFront()
    if (answer === undefined) await mirror[Symbol.asyncDispose]()
    else mirror.answer = answer
    await using client = openClient(mirrored(origin, mirror.host))
    assert.deepEqual(await pull(client, origin), pushed.image.layer)
  })

test('a mirror that failed is not asked again, one that only lacks something is', async () => {
  await using origin = await startFront(pushed.registry.host)
  await using failing = await startFront()
  failing.answer = ({ reply }) => reply(500)
  await using empty = await startFront()
  empty.answer = ({ reply }) => reply(404)
  const registries = {
    [origin.host]: { mirrors: [failing.host, empty.host] },
    [failing.host]: { transport: 'http' as const },
    [empty.host]: { transport: 'http' as const },
  }
  await using client = openClient({ registries })
  await pull(client, origin)
  const before = [failing.requests.length, empty.requests.length]
  await pull(client, origin)
  assert.equal(failing.requests.length, before[0])
  assert.ok(empty.requests.length > (before[1] ?? 0))
})

test('a blob that a mirror cuts is fetched to its end from the registry itself, by a range', async () => {
  await using origin = await startFront(pushed.registry.host)
  await using mirror = await startFront(pushed.registry.host)
  mirror.answer = ({ forward, path, count, reply }) => {
    if (!path.includes('/blobs/')) return forward()
    return count === 1 ? forward({ cutAfterBytes: 50_000 }) : reply(500)
  }
  await using client = openClient(mirrored(origin, mirror.host))
  assert.deepEqual(await pull(client, origin), pushed.image.layer)
  const [request] = origin.requests.filter(isBlob)
  assert.match(request?.headers.range ?? '', /^bytes=\d+-399999$/)
})

test('wrong bytes of a mirror are refused, and the next download asks the registry itself', async () => {
  await using origin = await startFront(pushed.registry.host)
  await using mirror = await startFront(pushed.registry.host)
  mirror.answer = exchange =>
    exchange.forward(isBlob(exchange) ? { body: body => Buffer.alloc(body.length) } : {})
  await using client = openClient(mirrored(origin, mirror.host))
  await assert.rejects(pull(client, origin), failsWith('image_pull_failed', 'digest'))
  assert.deepEqual(await pull(client, origin), pushed.image.layer)
})

test('a mirror cannot give another manifest than the digest says', async () => {
  await using origin = await startFront(pushed.registry.host)
  await using mirror = await startFront(pushed.registry.host)
  const change = {
    headers: { 'content-length': undefined },
    body: (body: Buffer) => Buffer.concat([body, Buffer.from('\n')]),
  }
  mirror.answer = ({ forward, method }) => (method === 'GET' ? forward(change) : forward())
  await using client = openClient(mirrored(origin, mirror.host))
  const reference = parseReference(`${origin.host}/team/app@${pushed.image.descriptor.digest}`)
  assert.equal((await client.fetchManifest(reference)).descriptor.digest, pushed.image.descriptor.digest)
})

test('a mirror gets its own credentials, never those of the registry', async () => {
  await using origin = await startFront()
  await using mirror = await startFront()
  mirror.answer = ({ reply }) => reply(401, { 'www-authenticate': 'Basic realm="give me"' })
  origin.answer = ({ reply }) => reply(404)
  const asked: string[] = []
  const credentials: typeof knownUser = async (host, signal) => {
    asked.push(host)
    return host === origin.host ? await knownUser(host, signal) : undefined
  }
  await using client = openClient(mirrored(origin, mirror.host), { credentials })
  await assert.rejects(client.resolve(parseReference(`${origin.host}/${name}`)), failsWith('not_found'))
  assert.deepEqual(asked, [mirror.host])
  for (const { headers } of mirror.requests) assert.equal(headers.authorization, undefined)
})

test('what is pushed goes to the registry itself', async () => {
  await using mirror = await startFront()
  await using client = openClient({ registries: { [pushed.registry.host]: { mirrors: [mirror.host] } } })
  await uploadImage(client, `${pushed.registry.host}/team/pushed:1`)
  assert.equal(mirror.requests.length, 0)
})

test('a short name is looked for in the search registries in their order', async () => {
  await using empty = await startFront()
  empty.answer = ({ reply }) => reply(404)
  await using client = openClient({ registries: { [empty.host]: { transport: 'http' } } })
  const candidates = referenceCandidates(name, [empty.host, pushed.registry.host]).slice(0, 2)
  const found = await client.resolveFirst(candidates)
  assert.equal(found.reference.registry, pushed.registry.host)
  assert.deepEqual(found.descriptor, pushed.image.descriptor)
})

test('a short name does not become the image of another registry where the first fails or refuses a login', async () => {
  await using first = await startFront()
  await using client = openClient(
    { registries: { [first.host]: { transport: 'http' } } },
    { credentials: async host => (host === first.host ? await knownUser(host) : undefined) },
  )
  const candidates = referenceCandidates(name, [first.host, pushed.registry.host]).slice(0, 2)
  first.answer = ({ reply }) => reply(503)
  await assert.rejects(client.resolveFirst(candidates), failsWith('upstream_unavailable', first.host))
  first.answer = ({ reply }) => reply(401, { 'www-authenticate': 'Basic realm="x"' })
  await assert.rejects(client.resolveFirst(candidates), failsWith('unauthenticated', first.host))

  await using nobody = openClient({ registries: { [first.host]: { transport: 'http' } } })
  assert.equal((await nobody.resolveFirst(candidates)).reference.registry, pushed.registry.host)
})
