import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference } from '../../src/image/reference.ts'
import { collect, failsWith, openClient, uploadImage } from './client.ts'
import { startConnectProxy } from './connect-proxy.ts'
import { startRegistry } from './registry.ts'

test('a registry over TLS is reached through the tunnel of HTTPS_PROXY, and its own certificate is checked', async () => {
  await using proxy = await startConnectProxy()
  await using registry = await startRegistry({ tls: true })
  proxy.hosts.set('registry.test:443', registry.host)
  const environment = { HTTPS_PROXY: proxy.url.replace('http://', 'http://user:secret@') }
  const caFile = registry.caFile ?? ''
  await using client = openClient({ registries: { 'registry.test': { caFile } } }, { environment })
  const { layer, layerDescriptor } = await uploadImage(client, 'registry.test/team/app:1')
  const bytes = await collect(client.fetchBlob(parseReference('registry.test/team/app:1'), layerDescriptor))
  assert.deepEqual(bytes, layer)
  const [request] = proxy.requests
  assert.equal(request?.method, 'CONNECT')
  const expected = `Basic ${Buffer.from('user:secret').toString('base64')}`
  assert.equal(request?.headers['proxy-authorization'], expected)

  await using untrusting = openClient({}, { environment })
  await assert.rejects(
    untrusting.resolve(parseReference('registry.test/team/app:1')),
    error =>
      failsWith('network_unavailable', 'certificate')(error) && !JSON.stringify(error).includes('secret'),
  )
})

test('a certificate for another name is refused behind a proxy, too, and not tried again', async () => {
  await using proxy = await startConnectProxy()
  await using registry = await startRegistry({ tls: true })
  proxy.hosts.set('other.test:443', registry.host)
  const registries = { 'other.test': { caFile: registry.caFile ?? '' } }
  await using client = openClient({ registries }, { environment: { HTTPS_PROXY: proxy.url } })
  await assert.rejects(
    client.resolve(parseReference('other.test/team/app:1')),
    failsWith('network_unavailable', 'certificate', 'ALTNAME'),
  )
  assert.equal(proxy.requests.length, 1)
})

test('a registry over http is asked through HTTP_PROXY without a tunnel', async () => {
  await using proxy = await startConnectProxy()
  await using registry = await startRegistry()
  proxy.hosts.set('registry.test:5000', registry.host)
  const registries = { 'registry.test:5000': { transport: 'http' as const } }
  await using client = openClient({ registries }, { environment: { http_proxy: proxy.url } })
  await uploadImage(client, 'registry.test:5000/team/app:1')
  assert.ok(proxy.requests.length > 0)
  for (const { method, target } of proxy.requests) {
    assert.notEqual(method, 'CONNECT')
    assert.match(target, /^http:\/\/registry\.test:5000\/v2\//)
  }
})

test('NO_PROXY and this machine itself are reached without the proxy', async () => {
  await using proxy = await startConnectProxy()
  await using registry = await startRegistry()
  const environment = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url }
  await using client = openClient({}, { environment })
  await uploadImage(client, `${registry.host}/team/app:1`)
  assert.equal(proxy.requests.length, 0)
})

test('a proxy that refuses is named as the reason', async () => {
  await using proxy = await startConnectProxy()
  await using client = openClient({}, { environment: { HTTPS_PROXY: proxy.url } })
  await assert.rejects(
    client.resolve(parseReference('registry.test/team/app:1')),
    failsWith('network_unavailable', 'proxy', '403', 'HTTPS_PROXY'),
  )
})
