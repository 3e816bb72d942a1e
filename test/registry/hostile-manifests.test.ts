import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { digestOf } from '../../src/image/digest.ts'
import { parseReference } from '../../src/image/reference.ts'
import { mediaTypes } from '../../src/image/registry/media-types.ts'
import { collect, describe, failsWith, openClient, type UploadedImage, uploadImage } from './client.ts'
import { type Front, startFront } from './front.ts'
import { startRegistry, type TestRegistry } from './registry.ts'

const name = 'team/app:1'
let registry: TestRegistry
let image: UploadedImage

before(async () => {
  registry = await startRegistry()
  await using client = openClient()
  image = await uploadImage(client, `${registry.host}/${name}`)
})
after(() => registry[Symbol.asyncDispose]())

const { ociIndex, ociManifest, dockerManifest } = mediaTypes
const config = describe(mediaTypes.ociConfig, Buffer.from('{}'))

/** A registry that answers every request for a manifest with these bytes, and tells the truth about their digest. */
async function registryOf(value: unknown, contentType: string): Promise<Front> {
  const front = await startFront()
  const bytes = value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value))
  const headers = {
    'content-type': contentType,
    'content-length': String(bytes.length),
    'docker-content-digest': digestOf(bytes),
  }
  front.answer = ({ reply }) => reply(200, headers, bytes)
  return front
}

const manifest = { schemaVersion: 2, mediaType: ociManifest, config, layers: [] }
const index = { schemaVersion: 2, mediaType: ociIndex, manifests: [] }
const schema1Type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

for (const [title, value, contentType, code, words] of [
  ['an index sent as a manifest', index, ociManifest, 'image_pull_failed', ['calls itself']],
  ['a manifest sent as an index', manifest, ociIndex, 'image_pull_failed', ['calls itself']],
  ['an OCI manifest sent as a Docker one', manifest, dockerManifest, 'image_pull_failed', ['calls itself']],
  ['index and manifest in one', { ...manifest, ...index }, ociIndex, 'image_pull_failed', ['form of one']],
  [
    'index and manifest in one, which leaves its type open',
    { schemaVersion: 2, config, layers: [], manifests: [] },
    ociManifest,
    'image_pull_failed',
    ['form of one'],
  ],
  [
    'a manifest that leaves its type open, sent as JSON',
    { schemaVersion: 2, config, layers: [] },
    'application/json',
    'image_pull_failed',
    ['media type'],
  ],
  [
    'a schema 1 manifest',
    { schemaVersion: 1, fsLayers: [], history: [] },
    schema1Type,
    'unsupported',
    ['schema 1'],
  ],
  ['a schema 1 manifest sent as schema 2', { schemaVersion: 1 }, dockerManifest, 'unsupported', ['schema 1']],
  [
    'a schema 2 manifest with layers of schema 1',
    { ...manifest, fsLayers: [{ blobSum: config.digest }] },
    ociManifest,
    'image_pull_failed',
    ['schema 1'],
  ],
  ['HTML', Buffer.from('<html>log in first</html>'), 'text/html', 'image_pull_failed', ['no JSON']],
  [
    'a chart',
    { ...manifest, config: { ...config, mediaType: 'application/vnd.cncf.helm.config.v1+json' } },
    ociManifest,
    'unsupported',
    ['helm'],
  ],
  ['more than 4 MiB', Buffer.alloc((4 << 20) + 1, 32), ociManifest, 'image_pull_failed', ['4194304']],
] as const)
  test(`${title} is refused as ${code}`, async () => {
    await using front = await registryOf(value, contentType)
    await using client = openClient({ registries: { [front.host]: { transport: 'http' } } })
    await assert.rejects(
      client.fetchManifest(parseReference(`${front.host}/${name}`)),
      failsWith(code, ...words),
    )
  })

test('a manifest without a type inside is what its Content-Type says, with parameters or without', async () => {
  await using front = await registryOf(
    { schemaVersion: 2, config, layers: [] },
    `${ociManifest}; charset=utf-8`,
  )
  await using client = openClient({ registries: { [front.host]: { transport: 'http' } } })
  const fetched = await client.fetchManifest(parseReference(`${front.host}/${name}`))
  assert.equal(fetched.manifest.kind, 'manifest')
  assert.equal(fetched.manifest.mediaType, ociManifest)
})

test('other bytes than those of the digest are refused, whoever named it: the user, the registry or an index', async () => {
  await using front = await startFront(registry.host)
  front.answer = ({ method, path, forward }) =>
    path.includes('/manifests/') && method === 'GET'
      ? forward({
          headers: { 'content-length': undefined },
          body: body => Buffer.concat([body, Buffer.from(' ')]),
        })
      : forward()
  await using client = openClient()
  const { digest } = image.descriptor
  const byTag = parseReference(`${front.host}/${name}`)
  await assert.rejects(client.fetchManifest(byTag), failsWith('image_pull_failed', 'digest'))
  const byDigest = parseReference(`${front.host}/team/app@${digest}`)
  await assert.rejects(client.fetchManifest(byDigest), failsWith('image_pull_failed', digest))
  await assert.rejects(client.fetchManifest(byTag, image.descriptor), failsWith('image_pull_failed', digest))
})

test('a manifest of another size or type than its index says is refused', async () => {
  await using client = openClient()
  const reference = parseReference(`${registry.host}/${name}`)
  const longer = { ...image.descriptor, size: image.descriptor.size + 1 }
  await assert.rejects(client.fetchManifest(reference, longer), failsWith('image_pull_failed', 'announced'))
  const other = { ...image.descriptor, mediaType: dockerManifest }
  await assert.rejects(client.fetchManifest(reference, other), failsWith('image_pull_failed', 'announced'))
})

test('an index inside an index is refused, and so is an index that is announced as a manifest', async () => {
  await using front = await startFront()
  const inner = Buffer.from(JSON.stringify(index))
  const platform = { os: 'linux', architecture: 'amd64' }
  const serve = (mediaType: string) => {
    const outer = { ...index, manifests: [{ ...describe(mediaType, inner), platform }] }
    const bytes = Buffer.from(JSON.stringify(outer))
    front.answer = ({ path, reply }) =>
      reply(200, { 'content-type': ociIndex }, path.endsWith(digestOf(inner)) ? inner : bytes)
  }
  await using client = openClient({ registries: { [front.host]: { transport: 'http' } } })
  const reference = parseReference(`${front.host}/${name}`)
  serve(ociIndex)
  await assert.rejects(client.fetchImage(reference), failsWith('unsupported', 'index inside an index'))
  serve(ociManifest)
  await assert.rejects(client.fetchImage(reference), failsWith('image_pull_failed', 'announced'))
})

test('the address a foreign layer names is never asked', async () => {
  await using elsewhere = await startFront()
  await using front = await startFront(registry.host)
  const foreign = {
    ...image.layerDescriptor,
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    urls: [`${elsewhere.url}/layer`],
  }
  const bytes = Buffer.from(JSON.stringify({ ...manifest, layers: [foreign] }))
  front.answer = ({ path, reply, forward }) =>
    path.includes('/manifests/') ? reply(200, { 'content-type': ociManifest }, bytes) : forward()
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  const fetched = await client.fetchImage(reference)
  const [layer] = fetched.manifest.layers
  assert.ok(layer)
  assert.equal('urls' in layer, false)
  assert.deepEqual(await collect(client.fetchBlob(reference, layer)), image.layer)
  assert.equal(elsewhere.requests.length, 0)
})

test('a registry that knows no HEAD, or says nothing in it, is asked for the manifest itself', async () => {
  await using front = await startFront(registry.host)
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  front.answer = ({ method, reply, forward }) => (method === 'HEAD' ? reply(405) : forward())
  assert.deepEqual(await client.resolve(reference), image.descriptor)
  front.answer = ({ forward }) => forward({ headers: { 'docker-content-digest': undefined } })
  assert.deepEqual(await client.resolve(reference), image.descriptor)
})
