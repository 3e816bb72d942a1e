import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { LayerProgress } from '../../src/index.ts'
import { eventually } from '../home.ts'
import { storedBlob } from '../registry/registry.ts'
import { file, pushImage } from './oci-image.ts'
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

// What a pull brings in, and that it fetches each layer once, three at a time, whoever else wants it.

const source = pullSourceForThisFile()

test('a pulled image is told with its names, configuration, layers and history, and its files are private', async () => {
  await using home = await ownHome()
  const { images } = home.runtime
  const pulled = await images.pull(source.image.name)
  assert.equal(pulled.digest, source.image.digest)
  assert.deepEqual(pulled.names, [source.image.name])
  assert.deepEqual(pulled.createdAt, new Date('2026-01-02T03:04:05Z'))
  assert.ok(pulled.rootfsBytes > 0)
  assert.deepEqual(await images.list(), [pulled])
  const details = await images.inspect(source.image.digest.slice(7, 7 + 12))
  assert.deepEqual(details.config.command, ['/bin/app'])
  assert.deepEqual(details.config.env, { A: 'b=c' })
  assert.deepEqual(
    details.layers.map(({ digest, bytes, diffId }) => ({ digest, bytes, diffId })),
    source.image.layers,
  )
  assert.deepEqual(
    details.history.map(({ createdBy, bytes }) => [createdBy, bytes]),
    [
      ['settings', 0],
      ...source.image.layers.map(({ bytes }, index) => [`layer ${index}`, bytes] as const).reverse(),
    ],
  )
  assert.equal(details.bytes, pulled.bytes)
  for (const path of imageFiles(home)) {
    assert.equal(statSync(path).mode & 0o777, 0o600, path)
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700, path)
  }
  assert.deepEqual(readdirSync(join(home.path, 'tmp')), [])
})

test('a second pull asks what the name means and fetches nothing', async () => {
  await using front = await source.front()
  await using home = await ownHome()
  await home.runtime.images.pull(through(front))
  assert.equal(blobRequests(front).length, everyBlobOnce(source.image))
  const before = front.requests.length
  await home.runtime.images.pull(through(front))
  const methods = front.requests.slice(before).map(({ method }) => method)
  assert.deepEqual([...new Set(methods)], ['HEAD'])
})

test('every layer tells how far it is, up to all of its bytes', async () => {
  await using home = await ownHome()
  const events: LayerProgress[] = []
  await home.runtime.images.pull(source.image.name, {
    onProgress: ({ layer }) => {
      if (layer !== undefined) events.push(layer)
    },
  })
  for (const [index, { digest, bytes }] of source.image.layers.entries()) {
    const own = events.filter(event => event.index === index)
    const phases = own.map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1])
    assert.deepEqual(phases, ['waiting', 'downloading', 'waiting', 'merging', 'done'], digest)
    assert.ok(own.every(event => event.layer === digest && event.totalBytes === bytes && event.layers === 4))
    assert.equal(own.at(-1)?.bytes, bytes)
    assert.equal(own.filter(({ phase }) => phase === 'done').length, 1)
    assert.equal(own.filter(({ phase }) => phase === 'downloading').at(-1)?.bytes, bytes)
  }
})

test('pulls of one image at once fetch each layer once, in one process', async () => {
  await using front = await source.front()
  await using home = await ownHome()
  const pulls = Array.from({ length: 4 }, () => home.runtime.images.pull(through(front)))
  const digests = (await Promise.all(pulls)).map(({ digest }) => digest)
  assert.deepEqual(digests, Array(4).fill(source.image.digest))
  assert.equal(blobRequests(front).length, everyBlobOnce(source.image))
})

test('pulls of one image at once fetch each layer once, also in several processes, and who waits sees the progress', async () => {
  const open = Promise.withResolvers<void>()
  const [large] = source.image.layers
  const half = 150_000
  await using front = await source.front(async exchange => {
    if (!isOf(large?.digest, exchange)) return exchange.forward()
    const bytes = storedBlob(source.registry, large?.digest ?? '')
    exchange.response.writeHead(200, { 'content-length': `${bytes.length}` })
    exchange.response.write(bytes.subarray(0, half))
    await open.promise
    exchange.response.end(bytes.subarray(half))
  })
  await using home = await ownHome()
  await using one = new Puller(home.path, through(front))
  await eventually('one process asks for the layer', () =>
    front.requests.some(request => isOf(large?.digest, request)),
  )
  await using other = new Puller(home.path, through(front))
  await eventually('the other process sees half of the layer', () =>
    other.lines.some(line => 'layer' in line && line.layer.phase === 'waiting' && line.layer.bytes === half),
  )
  open.resolve()
  const results = await Promise.all([one.result(), other.result()])
  assert.deepEqual(
    results.map(({ digest }) => digest),
    [source.image.digest, source.image.digest],
  )
  assert.equal(blobRequests(front).length, everyBlobOnce(source.image))
})

test('three layers are fetched at a time, and a layer is merged while those above it are still on their way', async () => {
  const waiting: string[] = []
  let most = 0
  const three = Promise.withResolvers<void>()
  const merged = Promise.withResolvers<void>()
  const [lowest, , , top] = source.image.layers
  await using front = await source.front(async exchange => {
    if (source.image.layers.some(({ digest }) => isOf(digest, exchange))) {
      waiting.push(exchange.path)
      most = Math.max(most, waiting.length)
      if (waiting.length === 3) three.resolve()
      await three.promise
      if (isOf(top?.digest, exchange)) await merged.promise
      waiting.splice(waiting.indexOf(exchange.path), 1)
    }
    await exchange.forward()
  })
  await using home = await ownHome()
  await home.runtime.images.pull(through(front), {
    onProgress: ({ layer }) => {
      if (layer?.phase === 'merging' && layer.layer === lowest?.digest) merged.resolve()
    },
  })
  assert.equal(most, 3)
})

test('two images of the same layers share one file, however the layers are stored', async () => {
  await using home = await ownHome()
  const layers = [[file('a', randomBytes(10_000))], [file('b', 'b')]]
  const one = await pushImage(source.registry, 'team/chain:1', { layers })
  const other = await pushImage(source.registry, 'team/chain:2', { layers, level: 1, config: { User: '7' } })
  assert.notEqual(one.layers[0]?.digest, other.layers[0]?.digest)
  await home.runtime.images.pull(one.name)
  await home.runtime.images.pull(other.name)
  assert.equal(imageFiles(home).filter(path => path.includes('rootfs')).length, 1)
  await home.runtime.images.remove(one.name)
  assert.equal(imageFiles(home).filter(path => path.includes('rootfs')).length, 1)
  await home.runtime.images.remove(other.name)
  assert.deepEqual(imageFiles(home), [])
})

test('an image that has a layer twice fetches it once', async () => {
  await using front = await source.front()
  await using home = await ownHome()
  const layer = [file('same', randomBytes(1000))]
  const pushed = await pushImage(source.registry, 'team/twice:1', { layers: [layer, layer] })
  assert.equal((await home.runtime.images.pull(through(front, 'team/twice:1'))).digest, pushed.digest)
  assert.equal(blobRequests(front).length, 2)
})

test('an image without layers is an empty one', async () => {
  await using home = await ownHome()
  const pushed = await pushImage(source.registry, 'team/empty:1', { layers: [], config: { Cmd: ['/none'] } })
  assert.equal((await home.runtime.images.pull(pushed.name)).digest, pushed.digest)
  assert.deepEqual((await home.runtime.images.inspect(pushed.name)).layers, [])
})
