import assert from 'node:assert/strict'
import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { failsWith } from '../registry/client.ts'
import { file, pushImage } from './oci-image.ts'
import { blobRequests, imageFiles, isOf, ownHome, pullSourceForThisFile, through } from './pull-source.ts'

// Wrong bytes, of a registry, of an image and of the disk.

const source = pullSourceForThisFile()

test('wrong bytes of a registry are no image, leave nothing to be used, and a later pull is whole', async () => {
  let isLying = true
  const [, middle] = source.image.layers
  await using front = await source.front(exchange =>
    exchange.forward(
      isLying && isOf(middle?.digest, exchange)
        ? {
            body: bytes => {
              const changed = Buffer.from(bytes)
              changed[changed.length >> 1] = ~(changed[changed.length >> 1] ?? 0)
              return changed
            },
          }
        : {},
    ),
  )
  await using home = await ownHome()
  await assert.rejects(
    home.runtime.images.pull(through(front)),
    failsWith('image_pull_failed', middle?.digest ?? ''),
  )
  assert.deepEqual(await home.runtime.images.list(), [])
  assert.ok(
    imageFiles(home).every(path => !path.includes(`${middle?.digest.slice(7)}`) && !path.includes('rootfs')),
  )
  isLying = false
  assert.equal((await home.runtime.images.pull(through(front))).digest, source.image.digest)
})

test('a layer whose content is not what the configuration says is no image', async () => {
  await using home = await ownHome()
  const pushed = await pushImage(source.registry, 'team/wrong:1', {
    layers: [[file('a', 'a')]],
    more: { rootfs: { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`] } },
  })
  await assert.rejects(home.runtime.images.pull(pushed.name), failsWith('image_pull_failed', 'layer 1'))
  assert.deepEqual(await home.runtime.images.list(), [])
  assert.deepEqual(
    imageFiles(home).filter(path => path.includes('rootfs')),
    [],
  )
  await home.runtime.images.prune()
  assert.deepEqual(imageFiles(home), [])
})

test('a damaged blob of the home is noticed when it is looked at', async () => {
  await using home = await ownHome()
  await home.runtime.images.pull(source.image.name)
  const config = (await home.runtime.images.get(source.image.name)).configDigest
  appendFileSync(join(home.path, 'images', 'blobs', 'sha256', `${config?.slice(7)}`), ' ')
  await assert.rejects(home.runtime.images.inspect(source.image.name), failsWith('storage_error', 'damaged'))
})

test('a layer that the disk has changed is noticed when it is merged again, and fetched anew', async () => {
  await using front = await source.front()
  await using home = await ownHome()
  const { images } = home.runtime
  await images.pull(through(front))
  const [large] = source.image.layers
  const path = join(home.path, 'images', 'blobs', 'sha256', `${large?.digest.slice(7)}`)
  writeFileSync(path, Buffer.alloc(large?.bytes ?? 0, 'x'))
  rmSync(join(home.path, 'images', 'rootfs'), { recursive: true })
  await assert.rejects(
    images.pull(through(front), { policy: 'missing' }),
    failsWith('invalid_argument', 'layer 1'),
  )
  const before = blobRequests(front).length
  assert.equal((await images.pull(through(front))).digest, source.image.digest)
  assert.equal(blobRequests(front).length, before + 1)
})
