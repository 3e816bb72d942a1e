import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../home.ts'
import { failsWith } from '../registry/client.ts'
import { storedBlob } from '../registry/registry.ts'
import {
  blobRequests,
  everyBlobOnce,
  imageFiles,
  isOf,
  ownHome,
  pullSourceForThisFile,
  through,
} from './pull-source.ts'
import { Puller } from './puller.ts'

// Pulls that are killed, given up or begin with what another one left.

const source = pullSourceForThisFile()

test('what a killed process had of a layer is used by the next pull', async () => {
  const [large] = source.image.layers
  const half = 150_000
  await using front = await source.front(async exchange => {
    if (!isOf(large?.digest, exchange) || exchange.count > 1) return exchange.forward()
    const bytes = storedBlob(source.registry, large?.digest ?? '')
    exchange.response.writeHead(200, { 'content-length': `${bytes.length}` })
    exchange.response.write(bytes.subarray(0, half))
  })
  await using home = await ownHome()
  const partial = join(home.path, 'images', 'blobs', 'sha256', `${large?.digest.slice(7)}.partial`)
  {
    await using puller = new Puller(home.path, through(front))
    await eventually(
      'half of the layer is there',
      () => statSync(partial, { throwIfNoEntry: false })?.size === half,
    )
    await eventually(
      'the other layers are there',
      () => blobRequests(front).length === everyBlobOnce(source.image),
    )
    await puller.kill()
  }
  assert.deepEqual(await home.runtime.images.list(), [])
  const before = front.requests.length
  const pulled = await home.runtime.images.pull(through(front))
  assert.equal(pulled.digest, source.image.digest)
  const again = front.requests.slice(before).filter(request => isOf(large?.digest, request))
  assert.deepEqual(
    again.map(({ headers }) => headers.range),
    [`bytes=${half}-${(large?.bytes ?? 0) - 1}`],
  )
  assert.ok(imageFiles(home).every(path => !path.endsWith('.partial')))
})

test('a partial file with wrong bytes is noticed, thrown away, and the layer fetched from its start', async () => {
  await using front = await source.front()
  await using home = await ownHome()
  const [large] = source.image.layers
  const partial = join(home.path, 'images', 'blobs', 'sha256', `${large?.digest.slice(7)}.partial`)
  mkdirSync(dirname(partial), { recursive: true })
  writeFileSync(partial, Buffer.alloc(1000, 'x'))
  assert.equal((await home.runtime.images.pull(through(front))).digest, source.image.digest)
  const ranges = front.requests
    .filter(request => isOf(large?.digest, request))
    .map(({ headers }) => headers.range)
  assert.deepEqual(ranges, [`bytes=1000-${(large?.bytes ?? 0) - 1}`, undefined])
})

test('a pull that is given up ends at once and leaves what it has to the next one', async () => {
  const [large] = source.image.layers
  const abort = new AbortController()
  let isHeld = true
  await using front = await source.front(async exchange => {
    if (!isHeld || !isOf(large?.digest, exchange)) return exchange.forward()
    isHeld = false
    const bytes = storedBlob(source.registry, large?.digest ?? '')
    exchange.response.writeHead(200, { 'content-length': `${bytes.length}` })
    exchange.response.write(bytes.subarray(0, 65_536), () => abort.abort())
  })
  await using home = await ownHome()
  await assert.rejects(
    home.runtime.images.pull(through(front), { signal: abort.signal }),
    failsWith('aborted'),
  )
  assert.equal((await home.runtime.images.pull(through(front))).digest, source.image.digest)
})

test('wherever a pull is killed, what is left is no image or a whole one, and the next pull makes it whole', async () => {
  await using clean = await ownHome()
  await clean.runtime.images.pull(source.image.name)
  const expected = imageFiles(clean).map(path => path.slice(clean.path.length))
  for (const point of [
    'blob whole',
    'blob stored',
    'layers merged',
    'file in place',
    'before its record',
    'recorded',
  ]) {
    await using home = await ownHome()
    await using puller = new Puller(home.path, source.image.name, { COFFER_FAULT_AT: `image: ${point}` })
    await assert.rejects(puller.result(), point)
    await using runtime = await home.open()
    const isRecorded = point === 'recorded'
    assert.equal((await runtime.images.list()).length, isRecorded ? 1 : 0, point)
    assert.equal((await runtime.images.pull(source.image.name)).digest, source.image.digest, point)
    assert.deepEqual(
      imageFiles(home).map(path => path.slice(home.path.length)),
      expected,
      point,
    )
    assert.deepEqual(readdirSync(join(home.path, 'tmp')), [], point)
  }
})
