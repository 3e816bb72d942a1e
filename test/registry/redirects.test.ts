import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parseReference } from '../../src/image/reference.ts'
import { scratchDirectory } from '../scratch.ts'
import { type CertificateFiles, makeCertificate } from './certificate.ts'
import { collect, failsWith, knownUser, openClient, type UploadedImage, uploadImage } from './client.ts'
import { type ConnectProxy, startConnectProxy } from './connect-proxy.ts'
import { type Exchange, type Front, isBlob, startFront } from './front.ts'
import { startRegistry, type TestRegistry } from './registry.ts'

const name = 'team/app:1'
const scratch = scratchDirectory('registry')
let registry: TestRegistry
let image: UploadedImage
let certificate: CertificateFiles

before(async () => {
  certificate = await makeCertificate(scratch.path, 'server')
  registry = await startRegistry({ auth: 'basic' })
  await using client = openClient({}, { credentials: knownUser })
  image = await uploadImage(client, `${registry.host}/${name}`)
})
after(async () => {
  await registry[Symbol.asyncDispose]()
  scratch[Symbol.dispose]()
})

async function frontThatSendsBlobs(
  to: (exchange: Exchange) => string,
  tls?: CertificateFiles,
): Promise<Front> {
  const front = await startFront(registry.host, tls)
  front.answer = exchange =>
    isBlob(exchange) ? exchange.reply(307, { location: to(exchange) }) : exchange.forward()
  return front
}

/** A store of blobs at another host: it has the layer under every path, and keeps no secrets. */
async function startStore(tls?: CertificateFiles): Promise<Front> {
  const store = await startFront(undefined, tls)
  store.answer = ({ reply }) => reply(200, { 'content-length': String(image.layer.length) }, image.layer)
  return store
}

test('a blob that lies at another host is fetched there without the credentials', async () => {
  await using store = await startStore()
  await using front = await frontThatSendsBlobs(() => `${store.url}/bucket/layer?signature=1`)
  await using client = openClient({}, { credentials: knownUser })
  const reference = parseReference(`${front.host}/${name}`)
  await client.resolve(reference)
  assert.deepEqual(await collect(client.fetchBlob(reference, image.layerDescriptor)), image.layer)

  assert.ok(front.requests.filter(isBlob).some(({ headers }) => headers.authorization !== undefined))
  assert.deepEqual(
    store.requests.map(({ path, headers }) => [path, headers.authorization, headers.cookie]),
    [['/bucket/layer?signature=1', undefined, undefined]],
  )
})

test('the same host at another port is another host', async () => {
  await using store = await startStore()
  await using front = await frontThatSendsBlobs(() => `http://127.0.0.1:${new URL(store.url).port}/layer`)
  await using client = openClient({}, { credentials: knownUser })
  const reference = parseReference(`${front.host}/${name}`)
  await client.resolve(reference)
  await collect(client.fetchBlob(reference, image.layerDescriptor))
  assert.equal(store.requests[0]?.headers.authorization, undefined)
})

test('a redirect within the registry keeps the credentials, one that comes back from elsewhere does not', async () => {
  await using front = await startFront(registry.host)
  await using elsewhere = await startFront()
  elsewhere.answer = ({ reply }) => reply(302, { location: `${front.url}/returned` })
  front.answer = exchange => {
    if (exchange.path === '/within') return exchange.reply(302, { location: `${elsewhere.url}/layer` })
    if (exchange.path === '/returned') return exchange.reply(200, {}, image.layer)
    return isBlob(exchange) ? exchange.reply(302, { location: '/within' }) : exchange.forward()
  }
  await using client = openClient({}, { credentials: knownUser })
  const reference = parseReference(`${front.host}/${name}`)
  await client.resolve(reference)
  assert.deepEqual(await collect(client.fetchBlob(reference, image.layerDescriptor)), image.layer)
  const authorizations = (path: string) =>
    front.requests.filter(request => request.path === path).map(({ headers }) => headers.authorization)
  assert.match(authorizations('/within')[0] ?? '', /^Basic /)
  assert.deepEqual(authorizations('/returned'), [undefined])
  assert.equal(elsewhere.requests[0]?.headers.authorization, undefined)
})

test('a refusal by a store is no reason to show the credentials to it, or to where it says that tokens are', async () => {
  await using thief = await startFront()
  thief.answer = ({ reply }) => reply(200, {}, '{"token":"abc"}')
  await using store = await startFront()
  await using front = await frontThatSendsBlobs(() => `${store.url}/layer`)
  for (const challenge of ['Basic realm="give me"', `Bearer realm="${thief.url}/token"`]) {
    store.answer = ({ reply }) => reply(401, { 'www-authenticate': challenge })
    await using client = openClient({}, { credentials: knownUser })
    const reference = parseReference(`${front.host}/${name}`)
    await client.resolve(reference)
    await assert.rejects(
      collect(client.fetchBlob(reference, image.layerDescriptor)),
      failsWith('unauthenticated', store.host),
    )
  }
  assert.deepEqual(
    [...store.requests, ...thief.requests].map(({ path, headers }) => [path, headers.authorization]),
    [
      ['/layer', undefined],
      ['/layer', undefined],
    ],
  )
})

test('redirects without end are given up', async () => {
  await using front = await frontThatSendsBlobs(({ path }) => `${path}x`)
  await using client = openClient({}, { credentials: knownUser })
  await assert.rejects(
    collect(client.fetchBlob(parseReference(`${front.host}/${name}`), image.layerDescriptor)),
    failsWith('image_pull_failed', 'more than 5 times'),
  )
  assert.equal(front.requests.filter(isBlob).length, 6)
})

test('a redirect from https to http is refused, and so is one to nowhere or to a file', async () => {
  await using store = await startStore()
  let location = `${store.url}/layer`
  await using front = await frontThatSendsBlobs(() => location, certificate)
  const registries = { [front.host]: { caFile: certificate.caFile } }
  await using client = openClient({ registries }, { credentials: knownUser })
  const fetching = () =>
    collect(client.fetchBlob(parseReference(`${front.host}/${name}`), image.layerDescriptor))
  await assert.rejects(fetching(), failsWith('permission_denied', 'from https to http'))
  location = 'file:///etc/passwd'
  await assert.rejects(fetching(), failsWith('permission_denied', 'file:'))
  location = 'http://['
  await assert.rejects(fetching(), failsWith('image_pull_failed', 'nowhere'))
  assert.equal(store.requests.length, 0)
})

test('an upload is not sent where a redirect leads', async () => {
  await using store = await startFront()
  await using front = await startFront(registry.host)
  front.answer = ({ method, forward, reply }) =>
    method === 'POST' ? reply(307, { location: `${store.url}/take` }) : forward()
  await using client = openClient({}, { credentials: knownUser })
  await assert.rejects(
    uploadImage(client, `${front.host}/team/pushed:1`),
    failsWith('upstream_unavailable', 'redirects'),
  )
  assert.equal(store.requests.length, 0)
})

test('an upload whose place is at another host goes there without the credentials', async () => {
  await using store = await startFront()
  store.answer = ({ reply }) => reply(201)
  await using front = await startFront(registry.host)
  front.answer = ({ method, forward, reply }) =>
    method === 'POST' ? reply(202, { location: `${store.url}/take?part=1` }) : forward()
  await using client = openClient({}, { credentials: knownUser })
  const reference = parseReference(`${front.host}/team/pushed`)
  await client.resolve(parseReference(`${front.host}/${name}`))
  const open = async function* () {
    yield Buffer.from('a layer that the registry has not')
  }
  const size = 'a layer that the registry has not'.length
  const digest = parseReference(`x@sha256:${'a'.repeat(64)}`).digest
  assert.ok(digest)
  await client.uploadBlob(reference, { digest, size, open })
  assert.deepEqual(
    store.requests.map(({ method, path, headers }) => [method, path, headers.authorization]),
    [['PUT', `/take?part=1&digest=${encodeURIComponent(digest)}`, undefined]],
  )
})

// Behind a proxy that invents it, the name stands for a registry on the internet.
async function publicRegistry(
  front: Front,
): Promise<AsyncDisposable & { proxy: ConnectProxy; client: ReturnType<typeof openClient> }> {
  const proxy = await startConnectProxy()
  proxy.hosts.set('registry.test:443', front.host)
  const registries = Object.fromEntries(
    ['registry.test', 'blobs.test'].map(host => [host, { caFile: certificate.caFile }]),
  )
  const environment = { HTTPS_PROXY: proxy.url }
  const client = openClient({ registries }, { credentials: knownUser, environment })
  return {
    proxy,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
    },
  }
}

for (const [spelling, reach] of [
  ['127.0.0.1', 'loopback'],
  ['localhost', 'loopback'],
  ['0x7f.1', 'loopback'],
  ['2130706433', 'loopback'],
  ['[::1]', 'loopback'],
  ['[::ffff:127.0.0.1]', 'loopback'],
  ['0.0.0.0', 'loopback'],
  ['10.0.0.1', 'private'],
  ['169.254.169.254', 'link-local'],
  ['[fd00:ec2::254]', 'link-local'],
] as const)
  test(`a registry on the internet may not send its client to ${spelling}`, async () => {
    await using store = await startStore(certificate)
    const { port } = new URL(store.url)
    await using front = await frontThatSendsBlobs(() => `https://${spelling}:${port}/layer`, certificate)
    await using setting = await publicRegistry(front)
    await assert.rejects(
      collect(setting.client.fetchBlob(parseReference(`registry.test/${name}`), image.layerDescriptor)),
      failsWith('permission_denied', 'registry.test', reach),
    )
    assert.equal(store.requests.length, 0)
  })

test('a host on the internet may not lead back to this machine a client that this machine sent to it', async () => {
  await using store = await startStore(certificate)
  await using lead = await startFront(undefined, certificate)
  lead.answer = ({ reply }) => reply(302, { location: `${store.url}/layer` })
  await using front = await frontThatSendsBlobs(() => 'https://blobs.test/layer')
  await using setting = await publicRegistry(lead)
  setting.proxy.hosts.set('blobs.test:443', lead.host)
  await assert.rejects(
    collect(setting.client.fetchBlob(parseReference(`${front.host}/${name}`), image.layerDescriptor)),
    failsWith('permission_denied', 'loopback'),
  )
  assert.deepEqual([lead.requests.length, store.requests.length], [1, 0])
})

test('a registry on the internet may not have an upload sent to this machine', async () => {
  await using store = await startFront(undefined, certificate)
  store.answer = ({ reply }) => reply(201)
  await using front = await startFront(registry.host, certificate)
  front.answer = ({ method, forward, reply }) =>
    method === 'POST' ? reply(202, { location: `${store.url}/take` }) : forward()
  await using setting = await publicRegistry(front)
  await assert.rejects(
    uploadImage(setting.client, 'registry.test/team/pushed:1'),
    failsWith('permission_denied', 'loopback'),
  )
  assert.equal(store.requests.length, 0)
})

test('a registry on the internet may not have its tokens got from this machine', async () => {
  await using tokens = await startFront(undefined, certificate)
  await using front = await startFront(undefined, certificate)
  const challenge = `Bearer realm="${tokens.url}/token",service="registry.test"`
  front.answer = ({ reply }) => reply(401, { 'www-authenticate': challenge })
  await using setting = await publicRegistry(front)
  await assert.rejects(
    setting.client.resolve(parseReference(`registry.test/${name}`)),
    failsWith('permission_denied', 'loopback'),
  )
  assert.equal(tokens.requests.length, 0)
})

test('a registry on the internet may send its client to another host on the internet', async () => {
  await using store = await startStore(certificate)
  await using front = await frontThatSendsBlobs(() => 'https://blobs.test/layer', certificate)
  await using setting = await publicRegistry(front)
  setting.proxy.hosts.set('blobs.test:443', store.host)
  const reference = parseReference(`registry.test/${name}`)
  assert.deepEqual(await collect(setting.client.fetchBlob(reference, image.layerDescriptor)), image.layer)
  assert.equal(store.requests[0]?.headers.authorization, undefined)
})
