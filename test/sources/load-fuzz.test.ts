import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../../src/errors.ts'
import { inChunks, type TarItem, tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { loadImages } from '../../src/image/sources/load.ts'
import { makeLayout, sha256 } from './images.ts'
import { type TestStore, testStore } from './store.ts'

const numRuns = Number(process.env['COFFER_FUZZ_RUNS'] ?? 150)

/** Files outside of the home that no archive may reach. */
function plantCanary(home: TestStore): () => void {
  mkdirSync(home.at('outside'))
  writeFileSync(home.at('outside/canary'), 'canary')
  const before = statSync(home.at('outside/canary'), { bigint: true })
  const names = readdirSync(home.path)
  return () => {
    const now = statSync(home.at('outside/canary'), { bigint: true })
    assert.deepEqual(
      [now.atimeNs, now.mtimeNs, now.ctimeNs, now.nlink],
      [before.atimeNs, before.mtimeNs, before.ctimeNs, before.nlink],
    )
    assert.deepEqual(readdirSync(home.path), names)
  }
}

/** Whether it was loaded, and can be prepared. */
async function tryLoad(home: TestStore, archive: Uint8Array): Promise<boolean> {
  try {
    for (const { digest } of await loadImages(inChunks(archive, 5000), home.store))
      await home.store.prepare(digest)
    return true
  } catch (error) {
    assert.ok(
      isCofferError(error) && error.code !== 'internal',
      `${error instanceof Error ? error.stack : error}`,
    )
    return false
  }
}

test('whatever bytes of an archive are changed, it is loaded or refused, and nothing outside is touched', async t => {
  using home = testStore()
  const layout = makeLayout(home.at('layout'))
  execFileSync('tar', ['--format=posix', '-C', layout, '-cf', home.at('archive.tar'), '.'])
  const good = readFileSync(home.at('archive.tar'))
  const check = plantCanary(home)
  let loaded = 0
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255))
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 5 }),
      fc.oneof(fc.constant(good.length), fc.nat(good.length)),
      async (changes, length) => {
        const bytes = Buffer.from(good.subarray(0, length))
        for (const [at, value] of changes) if (at < length) bytes[at] = value
        if (await tryLoad(home, bytes)) loaded += 1
      },
    ),
    { numRuns },
  )
  check()
  t.diagnostic(`${loaded} of ${numRuns} were loaded`)
})

const name = fc.constantFrom(
  'a/layer.tar',
  'b/layer.tar',
  'c.json',
  '../outside/canary',
  '/etc/passwd',
  '../../../../../../etc/passwd',
  'index.json',
  'manifest.json',
  'oci-layout',
  `blobs/sha256/${'0'.repeat(64)}`,
)
const layer = tarArchive([{ path: 'f', content: 'x' }])
const config = JSON.stringify({
  os: 'linux',
  architecture: 'amd64',
  rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
})
const content = fc.constantFrom<Buffer | string>(layer, config, '{}', '[]', 'null', '')
const document = fc.record({
  Config: fc.oneof(name, fc.constant(7)),
  Layers: fc.oneof(fc.array(name, { maxLength: 2 }), fc.constant(null)),
  RepoTags: fc.oneof(
    fc.constant(null),
    fc.array(fc.constantFrom('app:1', '../x', 'UPPER', ''), { maxLength: 2 }),
  ),
})
const item: fc.Arbitrary<TarItem> = fc.oneof(
  fc.record({ path: name, content }),
  fc.record({ path: name, flag: fc.constantFrom('1', '2'), linkPath: name }),
  fc
    .array(document, { maxLength: 2 })
    .map(list => ({ path: 'manifest.json', content: JSON.stringify(list) })),
)

test('whatever files and links an archive is made of, nothing outside is touched', async t => {
  using home = testStore()
  const check = plantCanary(home)
  let loaded = 0
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 8 }), async items => {
      if (await tryLoad(home, tarArchive(items))) loaded += 1
    }),
    { numRuns },
  )
  check()
  t.diagnostic(`${loaded} of ${numRuns} were loaded`)
})
