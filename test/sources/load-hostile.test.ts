import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { isCofferError } from '../../src/errors.ts'
import { inChunks, type TarItem, tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { loadImages } from '../../src/image/sources/load.ts'
import { testStore } from './store.ts'

/** Archives that try to lead out of themselves, by what they try. */
const hostile: Readonly<Record<string, readonly TarItem[]>> = {
  'a layer that is a link out': [
    { path: 'x/layer.tar', flag: '2', linkPath: '/etc/passwd' },
    { path: 'c.json', content: '{}' },
    { path: 'manifest.json', content: JSON.stringify([{ Config: 'c.json', Layers: ['x/layer.tar'] }]) },
  ],
  'a name that climbs': [
    { path: '../../../../etc/coffer-canary', content: 'x' },
    { path: 'manifest.json', content: JSON.stringify([{ Config: '../../../../etc/passwd', Layers: [] }]) },
  ],
  'links in a circle': [
    { path: 'a', flag: '2', linkPath: 'b' },
    { path: 'b', flag: '2', linkPath: 'a' },
    { path: 'manifest.json', content: JSON.stringify([{ Config: 'a', Layers: [] }]) },
  ],
  'a manifest that is a link': [{ path: 'manifest.json', flag: '1', linkPath: '/etc/passwd' }],
  'a blob of another digest': [{ path: `blobs/sha256/${'a'.repeat(64)}`, content: 'x' }],
  'a digest in capitals': [
    { path: `blobs/sha256/${'A'.repeat(64)}`, content: 'x' },
    { path: 'oci-layout', content: '{}' },
    { path: 'index.json', content: '{"schemaVersion":2,"manifests":[]}' },
  ],
  'no list': [{ path: 'manifest.json', content: '{"Config":1}' }],
  'no objects': [{ path: 'manifest.json', content: '[null]' }],
  'no names': [{ path: 'manifest.json', content: '[{"Config":"manifest.json","Layers":[7]}]' }],
  'a name that is none': [
    { path: 'c.json', content: '{"os":"linux","architecture":"amd64","rootfs":{"type":"layers"}}' },
    { path: 'manifest.json', content: '[{"Config":"c.json","Layers":[],"RepoTags":["../../etc:x"]}]' },
  ],
}

for (const [title, items] of Object.entries(hostile))
  test(`a hostile archive is refused: ${title}`, async () => {
    using home = testStore()
    const before = readdirSync(home.path)
    const loading = loadImages(inChunks(tarArchive(items), 4096), home.store)
    if (title === 'a digest in capitals') assert.deepEqual(await loading, [])
    else await assert.rejects(loading, error => isCofferError(error) && error.code !== 'internal')
    assert.deepEqual(readdirSync(home.path), before)
    assert.deepEqual(home.store.content.list(), [])
  })

test('sizes and counts are bounded before anything is written', async () => {
  using home = testStore()
  const sparse = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': String(2 ** 45) }
  const archive = tarArchive([{ path: 'f', content: '0\n'.padEnd(512, '\0'), pax: sparse }])
  const refused = (error: unknown): boolean => isCofferError(error, 'resource_exhausted')
  await assert.rejects(loadImages(inChunks(archive, 512), home.store), refused)
  const large = tarArchive([{ path: 'f', content: Buffer.alloc(100_000) }])
  await assert.rejects(loadImages(inChunks(large, 4096), home.store, { maxBytes: 50_000 }), refused)
  async function* many(): AsyncGenerator<Uint8Array> {
    const entry = tarArchive([{ path: 'd/', flag: '5' }]).subarray(0, 512)
    const piece = Buffer.concat(Array.from({ length: 1000 }, () => entry))
    for (let round = 0; round < 101; round++) yield piece
  }
  await assert.rejects(loadImages(many(), home.store), refused)
  assert.deepEqual(home.store.content.list(), [])
})

test('a load that is given up stops reading and leaves nothing', async () => {
  using home = testStore()
  const controller = new AbortController()
  let pieces = 0
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield tarArchive([{ path: 'f', size: 2 ** 30 }]).subarray(0, 512)
    for (;;) {
      pieces += 1
      if (pieces === 20) controller.abort()
      yield Buffer.alloc(65536)
    }
  }
  await assert.rejects(loadImages(endless(), home.store, { signal: controller.signal }), error =>
    isCofferError(error, 'aborted'),
  )
  assert.ok(pieces < 40)
  assert.deepEqual(home.store.content.list(), [])
})
