import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { isCofferError } from '../../src/errors.ts'
import { saveImages } from '../../src/image/save/save-images.ts'
import { loadImages } from '../../src/image/sources/load.ts'
import { fileDigest, makeLayout, manifestDigest, run, skopeoCopy } from './images.ts'
import { testStore } from './store.ts'

test('an image saved as an OCI archive is what skopeo and umoci read, with its digest', async () => {
  using home = testStore()
  const layout = makeLayout(home.at('layout'))
  await loadImages(layout, home.store, { name: 'team/app' })
  const archive = home.at('saved.tar')
  await saveImages(home.store, ['team/app:image'], archive)
  assert.equal(
    (await run('skopeo', 'inspect', '--format', '{{.Digest}}', `oci-archive:${archive}`)).trim(),
    manifestDigest(layout),
  )
  mkdirSync(home.at('unpacked'))
  await run('tar', '-xf', archive, '-C', home.at('unpacked'))
  await run('umoci', 'unpack', '--rootless', '--image', `${home.at('unpacked')}:image`, home.at('bundle'))
  assert.equal(readFileSync(home.at('bundle/rootfs/etc/motd'), 'utf8'), 'second')
})

test('several images in one archive share blobs, and skopeo finds each by its name', async () => {
  using home = testStore()
  for (const name of ['one', 'two'])
    await loadImages(makeLayout(home.at(name), name), home.store, { name: `team/${name}` })
  const archive = home.at('both.tar')
  await saveImages(home.store, ['team/one:image', 'team/two:image'], archive)
  for (const name of ['one', 'two'])
    assert.equal(
      (
        await run(
          'skopeo',
          'inspect',
          '--format',
          '{{.Digest}}',
          `oci-archive:${archive}:docker.io/team/${name}:image`,
        )
      ).trim(),
      manifestDigest(home.at(name)),
    )
  const listing = (await run('tar', '-tf', archive)).trim().split('\n')
  assert.equal(new Set(listing).size, listing.length)
  // Two manifests, two configurations, two shared layers, two of their own.
  assert.equal(listing.filter(path => /[0-9a-f]{64}$/.test(path)).length, 8)
})

test('an image saved as a Docker archive is what skopeo reads, with its configuration', async () => {
  using home = testStore()
  const layout = makeLayout(home.at('layout'))
  const [image] = await loadImages(layout, home.store, { name: 'team/app' })
  const archive = home.at('saved.tar')
  await saveImages(home.store, ['team/app:image'], archive, { format: 'docker-archive' })
  await skopeoCopy(`docker-archive:${archive}:team/app:image`, `oci:${home.at('back')}:image`)
  const inspected = JSON.parse(await run('skopeo', 'inspect', `docker-archive:${archive}`))
  assert.equal(inspected.Layers.length, 3)
  await run('umoci', 'unpack', '--rootless', '--image', `${home.at('back')}:image`, home.at('bundle'))
  assert.equal(readFileSync(home.at('bundle/rootfs/seed'), 'utf8'), 'seed')
  using other = testStore()
  const [back] = await loadImages(archive, other.store)
  assert.equal(back?.configDigest, image?.configDigest)
})

test('the same images give the same bytes, also through a stream', async () => {
  using home = testStore()
  await loadImages(makeLayout(home.at('layout')), home.store)
  await saveImages(home.store, ['image'], home.at('a.tar'))
  await saveImages(home.store, ['image'], home.at('b.tar'))
  assert.equal(fileDigest(home.at('a.tar')), fileDigest(home.at('b.tar')))
  const stream = new PassThrough()
  const [bytes] = await Promise.all([buffer(stream), saveImages(home.store, ['image'], stream)])
  assert.ok(bytes.equals(readFileSync(home.at('a.tar'))))
})

test('what was saved is loaded again with the same digest and names', async () => {
  using home = testStore()
  const [image] = await loadImages(makeLayout(home.at('layout')), home.store, { name: 'localhost:5000/app' })
  assert.ok(image !== undefined)
  await home.store.tag(image.digest, 'other:tag')
  await saveImages(home.store, ['localhost:5000/app:image', 'other:tag'], home.at('saved.tar'))
  using other = testStore()
  const [first, second] = await loadImages(home.at('saved.tar'), other.store)
  assert.deepEqual([first?.digest, second?.digest], [image.digest, image.digest])
  assert.deepEqual(
    other.store.context.store.images.namesOf(image.digest).map(({ reference }) => reference),
    ['docker.io/library/other:tag', 'localhost:5000/app:image'],
  )
})

test('nothing is left of a save that fails', async () => {
  using home = testStore()
  const [image] = await loadImages(makeLayout(home.at('layout')), home.store)
  const before = readdirSync(home.path)
  await assert.rejects(saveImages(home.store, ['nothing'], home.at('x.tar')), error =>
    isCofferError(error, 'not_found'),
  )
  await assert.rejects(saveImages(home.store, [], home.at('x.tar')), error =>
    isCofferError(error, 'invalid_argument'),
  )
  await assert.rejects(saveImages(home.store, ['image'], home.at('no/such/x.tar')), error =>
    isCofferError(error, 'storage_error'),
  )
  const controller = new AbortController()
  const saving = saveImages(home.store, ['image'], home.at('x.tar'), {
    signal: controller.signal,
    onBytes: () => controller.abort(),
  })
  // The archive is one piece, so it may be whole before anybody looks.
  await saving.catch(error => assert.ok(isCofferError(error, 'aborted')))
  const blobs = home.store.context.store.images.blobsOf(image?.digest ?? '')
  const layer = blobs.find(({ kind }) => kind === 'layer')
  const digest = home.store.content.list().find(blob => blob.digest === layer?.digest)?.digest
  assert.ok(digest !== undefined)
  home.store.content.remove(digest)
  await assert.rejects(saveImages(home.store, ['image'], home.at('y.tar')), error =>
    isCofferError(error, 'not_found'),
  )
  assert.deepEqual(
    readdirSync(home.path).filter(name => name !== 'x.tar'),
    before,
  )
})
