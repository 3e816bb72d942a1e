import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CofferError } from '../../src/errors.ts'
import { parseReference } from '../../src/image/reference.ts'
import { scratchDirectory } from '../scratch.ts'
import { makeCertificate } from './certificate.ts'
import { collect, failsWith, knownUser, openClient, uploadImage } from './client.ts'
import { startFront } from './front.ts'
import { registryPassword, startRegistry } from './registry.ts'

test('one token serves all requests of its scope, also those that are made at once', async () => {
  await using registry = await startRegistry({ auth: 'token' })
  await using writer = openClient({}, { credentials: knownUser })
  const { layerDescriptor, layer } = await uploadImage(writer, `${registry.host}/team/app:1`)
  const requests = registry.tokens?.requests ?? []
  requests.length = 0
  await using client = openClient({}, { credentials: knownUser })
  const reference = parseReference(`${registry.host}/team/app:1`)
  await client.resolve(reference)
  await client.fetchImage(reference)
  const blobs = Array.from({ length: 4 }, () => collect(client.fetchBlob(reference, layerDescriptor)))
  for (const blob of await Promise.all(blobs)) assert.deepEqual(blob, layer)
  assert.deepEqual(
    requests.map(({ parameters }) => parameters.get('scope')),
    ['repository:team/app:pull'],
  )
})

test('a token is renewed before it ends, by its own word', async () => {
  await using registry = await startRegistry({ auth: 'token' })
  await using client = openClient({}, { credentials: knownUser })
  const name = `${registry.host}/team/app:1`
  await uploadImage(client, name)
  const { tokens } = registry
  assert.ok(tokens)
  tokens.requests.length = 0
  tokens.lifetimeSeconds = 1
  const reference = parseReference(`${registry.host}/team/other:1`)
  for (let count = 1; count <= 2; count++) {
    await assert.rejects(client.resolve(reference), failsWith('not_found'))
    assert.equal(tokens.requests.length, count)
  }
})

test('a token that the registry refuses is renewed once', async () => {
  await using registry = await startRegistry({ auth: 'token' })
  await using writer = openClient({}, { credentials: knownUser })
  await uploadImage(writer, `${registry.host}/team/app:1`)
  const { tokens } = registry
  assert.ok(tokens)
  await using front = await startFront(registry.host)
  await using client = openClient({}, { credentials: knownUser })
  const reference = parseReference(`${front.host}/team/app:1`)
  await client.resolve(reference)
  tokens.requests.length = 0

  const challenge = { 'www-authenticate': `Bearer realm="${tokens.realm}",service="${tokens.service}"` }
  let refusals = 1
  front.answer = ({ reply, forward }) => (refusals-- > 0 ? reply(401, challenge) : forward())
  await client.resolve(reference)
  assert.equal(tokens.requests.length, 1)

  front.requests.length = 0
  refusals = Number.POSITIVE_INFINITY
  await assert.rejects(client.resolve(reference), failsWith('unauthenticated'))
  assert.equal(front.requests.length, 2)
})

test('an identity token is exchanged by POST and sent nowhere else', async () => {
  await using registry = await startRegistry({ auth: 'token' })
  const { tokens } = registry
  assert.ok(tokens)
  const token = tokens.identityToken
  await using client = openClient({}, { credentials: async () => ({ kind: 'identityToken', token }) })
  await uploadImage(client, `${registry.host}/team/app:1`)
  assert.ok(tokens.requests.length > 0)
  for (const { method, authorization, parameters } of tokens.requests) {
    assert.equal(method, 'POST')
    assert.equal(authorization, undefined)
    assert.equal(parameters.get('grant_type'), 'refresh_token')
    assert.equal(parameters.get('service'), tokens.service)
  }
  await using wrong = openClient({}, { credentials: async () => ({ kind: 'identityToken', token: 'no' }) })
  await assert.rejects(
    wrong.resolve(parseReference(`${registry.host}/team/app:1`)),
    failsWith('unauthenticated', 'coffer login'),
  )
})

test('what anybody may pull is pulled without credentials, by a token for nobody', async () => {
  await using registry = await startRegistry({ auth: 'token' })
  await using writer = openClient({}, { credentials: knownUser })
  const { descriptor } = await uploadImage(writer, `${registry.host}/public/app:1`)
  await using client = openClient()
  assert.deepEqual(await client.resolve(parseReference(`${registry.host}/public/app:1`)), descriptor)
  await assert.rejects(
    client.resolve(parseReference(`${registry.host}/team/app:1`)),
    failsWith('unauthenticated', `coffer login ${registry.host}`),
  )
})

test('credentials are looked up when a registry asks, once, and for that registry', async () => {
  await using open = await startRegistry()
  await using closed = await startRegistry({ auth: 'basic' })
  const asked: string[] = []
  const credentials: typeof knownUser = async (registry, signal) => {
    asked.push(registry)
    return await knownUser(registry, signal)
  }
  await using client = openClient({}, { credentials })
  await uploadImage(client, `${open.host}/team/app:1`)
  assert.deepEqual(asked, [])
  await uploadImage(client, `${closed.host}/team/app:1`)
  assert.deepEqual(asked, [closed.host])
})

test('credentials that do not come in time fail who asked for them, at once', async () => {
  await using closed = await startRegistry({ auth: 'basic' })
  let asked = 0
  const credentials: typeof knownUser = async registry => {
    asked += 1
    if (asked > 1) return await knownUser(registry)
    throw new CofferError('timeout', 'the helper gave no credentials')
  }
  await using client = openClient({}, { credentials })
  const reference = parseReference(`${closed.host}/team/app:1`)
  await assert.rejects(client.resolve(reference), failsWith('timeout', 'the helper'))
  assert.equal(asked, 1)
})

test('who waits for credentials that another one asked for and gave up asks by itself', async () => {
  await using closed = await startRegistry({ auth: 'basic' })
  await using writer = openClient({}, { credentials: knownUser })
  const { descriptor } = await uploadImage(writer, `${closed.host}/team/app:1`)
  const abort = new AbortController()
  const isAsked = Promise.withResolvers<void>()
  let asked = 0
  const credentials: typeof knownUser = async (registry, signal) => {
    asked += 1
    if (asked > 1) return await knownUser(registry)
    isAsked.resolve()
    return await new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(new CofferError('aborted', 'it was given up')))
    })
  }
  await using front = await startFront(closed.host)
  await using client = openClient({}, { credentials })
  const reference = parseReference(`${front.host}/team/app:1`)
  const first = assert.rejects(client.resolve(reference, { signal: abort.signal }), failsWith('aborted'))
  await isAsked.promise
  const both = Promise.withResolvers<void>()
  front.answer = async ({ forward, response }) => {
    response.once('finish', () => both.resolve())
    await forward()
  }
  const second = client.resolve(reference)
  await both.promise
  abort.abort()
  await first
  assert.equal((await second).digest, descriptor.digest)
  assert.equal(asked, 2)
})

test('a password goes to a realm at another host, but not by http if the registry is reached by https', async () => {
  using scratch = scratchDirectory('registry')
  const certificate = await makeCertificate(scratch.path, 'server')
  await using plain = await startFront()
  await using secure = await startFront(undefined, certificate)
  for (const realm of [plain, secure]) realm.answer = ({ reply }) => reply(200, {}, '{"token":"abc"}')
  await using front = await startFront(undefined, certificate)
  const registries = Object.fromEntries(
    [front, secure].map(({ host }) => [host, { caFile: certificate.caFile }]),
  )
  await using client = openClient({ registries }, { credentials: knownUser })
  const reference = parseReference(`${front.host}/team/app:1`)

  front.answer = ({ reply }) => reply(401, { 'www-authenticate': `Bearer realm="${plain.url}/t"` })
  await assert.rejects(client.resolve(reference), failsWith('permission_denied', 'over http', plain.host))
  assert.equal(plain.requests.length, 0)

  front.answer = ({ reply, headers }) =>
    headers.authorization === 'Bearer abc'
      ? reply(404)
      : reply(401, { 'www-authenticate': `Bearer realm="${secure.url}/t"` })
  await assert.rejects(client.resolve(reference), failsWith('not_found'))
  assert.match(secure.requests[0]?.headers.authorization ?? '', /^Basic /)
})

test('a realm that redirects gets no second request, and one that is no address is refused', async () => {
  await using elsewhere = await startFront()
  await using tokens = await startFront()
  tokens.answer = ({ reply }) => reply(302, { location: `${elsewhere.url}/token` })
  await using front = await startFront()
  const registries = { [front.host]: { transport: 'http' as const } }
  await using client = openClient({ registries }, { credentials: knownUser })
  const reference = parseReference(`${front.host}/team/app:1`)
  front.answer = ({ reply }) => reply(401, { 'www-authenticate': `Bearer realm="${tokens.url}/t"` })
  await assert.rejects(client.resolve(reference), failsWith('image_pull_failed', tokens.host))
  assert.equal(elsewhere.requests.length, 0)
  for (const realm of ['', 'token', 'file:///etc/passwd', 'javascript:1']) {
    front.answer = ({ reply }) => reply(401, { 'www-authenticate': `Bearer realm="${realm}"` })
    await assert.rejects(client.resolve(reference), failsWith('image_pull_failed', 'no address'))
  }
})

test('what a token server answers is a token or a clear failure', async () => {
  await using tokens = await startFront()
  await using front = await startFront()
  front.answer = ({ reply }) => reply(401, { 'www-authenticate': `Bearer realm="${tokens.url}/t"` })
  const registries = { [front.host]: { transport: 'http' as const } }
  await using client = openClient({ registries })
  const reference = parseReference(`${front.host}/team/app:1`)
  for (const answer of [
    '',
    '[]',
    'null',
    '{"token":1}',
    '{"token":"a\\r\\nx: y"}',
    '{"token":""}',
    `"${'x'.repeat(2 << 20)}"`,
  ]) {
    tokens.answer = ({ reply }) => reply(200, {}, answer)
    await assert.rejects(client.resolve(reference), failsWith('image_pull_failed', tokens.host))
  }
  for (const [status, code] of [
    [500, 'upstream_unavailable'],
    [403, 'permission_denied'],
    [401, 'unauthenticated'],
  ] as const) {
    tokens.answer = ({ reply }) => reply(status)
    await assert.rejects(client.resolve(reference), failsWith(code, tokens.host))
  }
})

test('a registry that repeats the credentials in its refusal does not get them into the message', async () => {
  await using front = await startFront()
  front.answer = ({ headers, reply }) => {
    const { authorization } = headers
    const [, encoded = ''] = (authorization ?? '').split(' ')
    const message = `no: ${authorization} ${Buffer.from(encoded, 'base64')}`
    const challenge = authorization === undefined ? { 'www-authenticate': 'Basic realm="x"' } : {}
    reply(authorization === undefined ? 401 : 403, challenge, JSON.stringify({ errors: [{ message }] }))
  }
  const registries = { [front.host]: { transport: 'http' as const } }
  await using client = openClient({ registries }, { credentials: knownUser })
  const reference = parseReference(`${front.host}/team/app:1`)
  await assert.rejects(client.listTags(reference), error => {
    const shown = `${JSON.stringify(error)} ${error instanceof Error ? `${error.stack} ${error.cause}` : ''}`
    const encoded = Buffer.from(`reader:${registryPassword}`).toString('base64')
    return (
      failsWith('permission_denied', '***')(error) &&
      !shown.includes(registryPassword) &&
      !shown.includes(encoded)
    )
  })
})
