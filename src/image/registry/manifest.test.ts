import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../../errors.ts'
import { parseManifest } from './manifest.ts'
import { layerCompression, mediaTypes } from './media-types.ts'

const digest = `sha256:${'a'.repeat(64)}`
const config = { mediaType: mediaTypes.ociConfig, digest, size: 2 }
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 3 }
const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] }
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

test('an image manifest is read, of OCI and of Docker', () => {
  const read = parseManifest(bytes({ ...manifest, annotations: { a: 'b' } }), mediaTypes.ociManifest)
  assert.deepEqual(read, {
    kind: 'manifest',
    mediaType: mediaTypes.ociManifest,
    config,
    layers: [layer],
    annotations: { a: 'b' },
  })
  const docker = {
    ...manifest,
    mediaType: mediaTypes.dockerManifest,
    config: { ...config, mediaType: mediaTypes.dockerConfig },
  }
  assert.equal(parseManifest(bytes(docker), mediaTypes.dockerManifest).kind, 'manifest')
})

test('an index is read with its platforms, without what it need not say', () => {
  const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' }
  const entry = { mediaType: mediaTypes.ociManifest, digest, size: 1 }
  const index = {
    schemaVersion: 2,
    manifests: [
      { ...entry, platform, urls: ['http://x'], data: 'e30=' },
      { ...entry, platform: null },
    ],
  }
  const read = parseManifest(bytes(index), mediaTypes.ociIndex)
  assert.deepEqual(read, {
    kind: 'index',
    mediaType: mediaTypes.ociIndex,
    manifests: [{ ...entry, platform }, entry],
    annotations: {},
  })
})

test('a type that says nothing leaves it to the type inside', () => {
  for (const declared of [undefined, 'application/json', 'text/plain; charset=utf-8', ''])
    assert.equal(parseManifest(bytes(manifest), declared).mediaType, mediaTypes.ociManifest)
})

for (const [title, change] of [
  ['no layers', { layers: undefined }],
  ['layers that are no list', { layers: {} }],
  ['no configuration', { config: undefined }],
  ['a digest of another algorithm', { layers: [{ ...layer, digest: 'md5:0' }] }],
  ['a digest with a path', { layers: [{ ...layer, digest: 'sha256:../../etc/passwd' }] }],
  ['a negative size', { layers: [{ ...layer, size: -1 }] }],
  ['a size beyond 2^53', { layers: [{ ...layer, size: 2 ** 53 }] }],
  ['a size that is no integer', { layers: [{ ...layer, size: 1.5 }] }],
  ['a size that is text', { layers: [{ ...layer, size: '1' }] }],
  ['a layer that is null', { layers: [null] }],
  ['a layer without a type', { layers: [{ digest, size: 1 }] }],
  ['too many layers', { layers: Array(5000).fill(layer) }],
  ['another version', { schemaVersion: 3 }],
  ['no version', { schemaVersion: undefined }],
  ['a type that is no text', { mediaType: 1 }],
  ['annotations that are no texts', { annotations: { a: 1 } }],
] as const)
  test(`a manifest with ${title} is refused`, () => {
    assert.throws(
      () => parseManifest(bytes({ ...manifest, ...change }), mediaTypes.ociManifest),
      error => isCofferError(error, 'image_pull_failed'),
    )
  })

const anyKey = fc.constantFrom(
  ...['schemaVersion', 'mediaType', 'config', 'layers', 'manifests', 'digest', 'size', 'platform', 'os'],
  ...['architecture', 'variant', 'annotations', 'urls', 'fsLayers', 'history', '__proto__', 'constructor'],
)
const anyLeaf = fc.oneof(
  fc.constantFrom(...Object.values(mediaTypes), digest, 1, 2, 'linux', 'amd64', null, 0, -1, 1e300),
  fc.jsonValue({ maxDepth: 1 }),
)
const anyTree = fc.letrec(tie => ({
  any: fc.oneof(
    { maxDepth: 4 },
    anyLeaf,
    fc.dictionary(anyKey, tie('any')),
    fc.array(tie('any'), { maxLength: 3 }),
  ),
})).any
// Most of a good manifest, so that what is behind the first checks is reached as well.
const nearlyGood = fc
  .tuple(
    fc.constantFrom(manifest, { ...manifest, layers: undefined, config: undefined, manifests: [layer] }),
    fc.dictionary(anyKey, anyTree, { maxKeys: 2 }),
  )
  .map(([good, change]) => ({ ...good, ...change }))
const anyType = fc.oneof(fc.constantFrom(undefined, ...Object.values(mediaTypes)), fc.string())

test('any bytes and any JSON are a manifest or an error of Coffer', () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.oneof(anyTree, nearlyGood).map(value => bytes(value ?? null)),
    fc.tuple(nearlyGood, fc.nat(), fc.nat(255)).map(([value, position, byte]) => {
      const damaged = bytes(value)
      damaged[position % damaged.length] = byte
      return damaged
    }),
  )
  let read = 0
  fc.assert(
    fc.property(anyBytes, anyType, (content, declared) => {
      try {
        const parsed = parseManifest(content, declared)
        read += 1
        assert.ok(parsed.kind === 'index' ? parsed.manifests : parsed.layers)
      } catch (error) {
        if (!isCofferError(error)) throw error
      }
    }),
    { numRuns: 5000 },
  )
  assert.ok(read > 0, 'no input got through')
})

test('JSON nested as deep as 4 MiB allow is refused, not a crash', () => {
  for (const open of ['[', '{"a":']) {
    const deep = Buffer.from(open.repeat(Math.floor((4 << 20) / open.length)))
    assert.throws(
      () => parseManifest(deep, mediaTypes.ociManifest),
      error => isCofferError(error, 'image_pull_failed'),
    )
  }
})

test('the compression of a layer is known by its type', () => {
  for (const [mediaType, expected] of [
    ['application/vnd.oci.image.layer.v1.tar', 'none'],
    ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
    ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip'],
    ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'gzip'],
    ['application/vnd.oci.image.layer.v1.tar+gzip+encrypted', undefined],
    ['application/vnd.in-toto+json', undefined],
  ] as const)
    assert.equal(layerCompression(mediaType), expected, mediaType)
})
