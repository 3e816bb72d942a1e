import assert from 'node:assert/strict'
import {
  createReadStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { withImage } from '../../src/erofs/image-fixture.ts'
import { isCofferError } from '../../src/errors.ts'
import { inChunks, tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { loadImages } from '../../src/image/sources/load.ts'
import { writeLayout } from '../layers/layout.ts'
import { canCompare } from '../layers/reference.ts'
import { surveyTree } from '../layers/tree-survey.ts'
import { makeLayout, manifestDigest, run, sha256, skopeoCopy } from './images.ts'
import { type TestStore, testStore } from './store.ts'

const names = ({ store }: TestStore, digest: string): string[] =>
  store.context.store.images.namesOf(digest).map(({ reference }) => reference)

test('an OCI layout directory is loaded with its digest, and its tree is what umoci unpacks', async t => {
  if (!(await canCompare(t))) return
  using home = testStore()
  const layout = makeLayout(home.at('layout'))
  const [image, ...others] = await loadImages(layout, home.store)
  assert.ok(image !== undefined && others.length === 0)
  assert.equal(image.digest, manifestDigest(layout))
  assert.deepEqual(names(home, image.digest), ['docker.io/library/image:latest'])
  const { path } = await home.store.prepare(image.digest)
  await run('umoci', 'unpack', '--image', `${layout}:image`, home.at('bundle'))
  const expected = await surveyTree(home.at('bundle/rootfs'))
  const seen = await withImage(path, 'mount', surveyTree)
  for (const found of ['etc/motd', 'bin/other', 'seed'])
    assert.deepEqual(seen.get(found), expected.get(found))
  assert.ok(!seen.has('gone'))
})

for (const [format, target] of [
  ['an OCI archive', 'oci-archive:FILE:team/app:1'],
  ['a Docker archive', 'docker-archive:FILE:team/app:1'],
] as const)
  for (const compression of ['none', 'gzip', 'zstd'] as const)
    test(`${format} by skopeo is loaded from a file and a stream (${compression})`, async () => {
      using home = testStore()
      const layout = makeLayout(home.at('layout'))
      await skopeoCopy(`oci:${layout}:image`, target.replace('FILE', home.at('plain.tar')))
      const plain = readFileSync(home.at('plain.tar'))
      const packed =
        compression === 'gzip' ? gzipSync(plain) : compression === 'zstd' ? zstdCompressSync(plain) : plain
      writeFileSync(home.at('archive'), packed)
      const [fromFile] = await loadImages(home.at('archive'), home.store)
      const [fromStream] = await loadImages(
        createReadStream(home.at('archive'), { highWaterMark: 777 }),
        home.store,
      )
      assert.ok(fromFile !== undefined)
      assert.equal(fromStream?.digest, fromFile.digest)
      assert.deepEqual(names(home, fromFile.digest), ['docker.io/team/app:1'])
      if (format === 'an OCI archive') assert.equal(fromFile.digest, manifestDigest(layout))
      await home.store.prepare(fromFile.digest)
    })

test('a Docker archive with several images and names shares their layers, and nothing else stays', async () => {
  using home = testStore()
  const layer = tarArchive([{ path: 'f', content: 'shared' }])
  const own = tarArchive([{ path: 'g', content: 'own' }])
  const config = (...layers: Buffer[]): Buffer =>
    Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: 'amd64',
        rootfs: { type: 'layers', diff_ids: layers.map(sha256) },
      }),
    )
  const archive = tarArchive([
    { path: 'a/layer.tar', content: layer },
    { path: 'a/VERSION', content: '1.0' },
    { path: 'b/layer.tar', flag: '2', linkPath: '../a/layer.tar' },
    { path: 'c/layer.tar', flag: '1', linkPath: 'a/layer.tar' },
    { path: './d/layer.tar', content: own },
    { path: 'one.json', content: config(layer) },
    { path: 'two.json', content: config(layer, own) },
    {
      path: 'manifest.json',
      content: JSON.stringify([
        { Config: 'one.json', RepoTags: ['one:1', 'localhost:5000/one:2'], Layers: ['b/layer.tar'] },
        { Config: 'two.json', RepoTags: null, Layers: ['c/layer.tar', 'd/layer.tar'] },
      ]),
    },
  ])
  const [one, two] = await loadImages(inChunks(archive, 1000), home.store)
  assert.ok(one !== undefined && two !== undefined)
  assert.deepEqual(names(home, one.digest), ['docker.io/library/one:1', 'localhost:5000/one:2'])
  assert.deepEqual(names(home, two.digest), [])
  await home.store.prepare(one.digest)
  await home.store.prepare(two.digest)
  const stored = home.store.content.list().map(({ digest }) => digest)
  const used = home.store.context.store.images.usedBlobs()
  assert.deepEqual(new Set(stored), used)
  // Two manifests, two configurations, two layers.
  assert.equal(stored.length, 6)
})

test('an archive that is both Docker’s and an OCI layout, as Docker makes them since version 25, keeps its digest', async () => {
  using home = testStore()
  const layout = writeLayout(home.at('layout'), [
    { tar: tarArchive([{ path: 'plain', content: 'x' }]) },
    { tar: tarArchive([{ path: 'zstd', content: 'x' }]), compression: 'zstd' },
  ])
  const digest = manifestDigest(layout)
  const blob = (hex: string): string => `blobs/sha256/${hex}`
  const manifest = JSON.parse(readFileSync(join(layout, blob(digest.slice(7))), 'utf8'))
  const docker = {
    Config: blob(manifest.config.digest.slice(7)),
    RepoTags: ['image:latest'],
    Layers: manifest.layers.map((layer: { digest: string }) => blob(layer.digest.slice(7))),
  }
  writeFileSync(join(layout, 'manifest.json'), JSON.stringify([docker]))
  await run(
    'tar',
    '-C',
    layout,
    '-cf',
    home.at('both.tar'),
    'blobs',
    'index.json',
    'manifest.json',
    'oci-layout',
  )
  const [image] = await loadImages(home.at('both.tar'), home.store)
  assert.equal(image?.digest, digest)
  await home.store.prepare(digest)
  // Without the layout's parts the same layers make the same file system.
  await run('tar', '-C', layout, '-cf', home.at('docker.tar'), 'blobs', 'manifest.json')
  const [other] = await loadImages(home.at('docker.tar'), home.store)
  assert.equal(other?.chainId, image?.chainId)
})

test('of an index of several platforms the one that boxes run is taken', async () => {
  using home = testStore()
  const layout = makeLayout(home.at('layout'))
  const file = join(layout, 'index.json')
  const [manifest] = JSON.parse(readFileSync(file, 'utf8')).manifests
  const other = {
    ...manifest,
    digest: `sha256:${'0'.repeat(64)}`,
    platform: { os: 'linux', architecture: 'arm64' },
  }
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        other,
        { ...manifest, platform: { os: 'linux', architecture: 'amd64' } },
        { ...other, platform: { os: 'unknown', architecture: 'unknown' } },
      ],
    }),
  )
  writeFileSync(join(layout, 'blobs/sha256', sha256(index).slice(7)), index)
  const entry = {
    mediaType: 'application/vnd.oci.image.index.v1+json',
    digest: sha256(index),
    size: index.length,
    annotations: {
      'io.containerd.image.name': 'registry.example/app:3',
      'org.opencontainers.image.ref.name': '3',
    },
  }
  writeFileSync(file, JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
  const [image] = await loadImages(layout, home.store)
  assert.equal(image?.digest, manifest.digest)
  assert.deepEqual(names(home, manifest.digest), ['registry.example/app:3'])

  writeFileSync(file, JSON.stringify({ schemaVersion: 2, manifests: [other] }))
  await assert.rejects(
    loadImages(layout, home.store),
    error => isCofferError(error, 'not_found') && error.hint?.includes('linux/arm64') === true,
  )
})

test('a name given by the user stands in for a mere tag, and for none', async () => {
  using home = testStore()
  const layout = makeLayout(home.at('layout'))
  const [image] = await loadImages(layout, home.store, { name: 'ghcr.io/me/tool' })
  assert.ok(image !== undefined)
  assert.deepEqual(names(home, image.digest), ['ghcr.io/me/tool:image'])
  await skopeoCopy(`oci:${layout}:image`, `oci-archive:${home.at('unnamed.tar')}`)
  await loadImages(home.at('unnamed.tar'), home.store, { name: 'me/unnamed:7' })
  assert.ok(names(home, image.digest).includes('docker.io/me/unnamed:7'))
})

test('what is no source of images is refused, and leaves nothing', async () => {
  using home = testStore()
  mkdirSync(home.at('empty'))
  writeFileSync(home.at('text'), 'no archive at all')
  const refuses = async (path: string, code: Parameters<typeof isCofferError>[1]): Promise<void> =>
    void (await assert.rejects(loadImages(home.at(path), home.store), error => isCofferError(error, code)))
  await refuses('nothing', 'not_found')
  await refuses('empty', 'not_found')
  await refuses('text', 'invalid_argument')
  const layout = makeLayout(home.at('layout'))
  const [blob = ''] = readdirSync(join(layout, 'blobs/sha256'))
  writeFileSync(
    join(layout, 'blobs/sha256', blob),
    readFileSync(join(layout, 'blobs/sha256', blob)).reverse(),
  )
  await refuses('layout', 'image_pull_failed')
  rmSync(join(layout, 'blobs/sha256', blob))
  await refuses('layout', 'not_found')
  const repositories = tarArchive([{ path: 'repositories', content: '{}' }])
  await assert.rejects(loadImages(inChunks(repositories, 512), home.store), error =>
    isCofferError(error, 'unsupported'),
  )
  assert.deepEqual(home.store.content.list(), [])
})

test('links of a layout directory lead nowhere', async () => {
  using home = testStore()
  const secret = home.at('secret')
  writeFileSync(secret, '{"schemaVersion":2,"manifests":[]}')
  const layout = makeLayout(home.at('layout'))
  const digest = manifestDigest(layout).slice(7)
  const blob = join(layout, 'blobs/sha256', digest)
  writeFileSync(home.at('manifest'), readFileSync(blob))
  rmSync(blob)
  symlinkSync(home.at('manifest'), blob)
  await assert.rejects(loadImages(layout, home.store), error => isCofferError(error, 'invalid_argument'))
  rmSync(join(layout, 'index.json'))
  symlinkSync(secret, join(layout, 'index.json'))
  await assert.rejects(loadImages(layout, home.store), error => isCofferError(error, 'invalid_argument'))
  rmSync(join(layout, 'index.json'))
  await run('mkfifo', join(layout, 'index.json'))
  await assert.rejects(loadImages(layout, home.store), error => isCofferError(error, 'invalid_argument'))
})
