import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import type { LayerProgress } from '../../src/index.ts'
import { eventually, openTestHome, type TestHome } from '../home.ts'
import { failsWith } from '../registry/client.ts'
import { type Exchange, type Front, startFront } from '../registry/front.ts'
import { startRegistry, storedBlob, type TestRegistry } from '../registry/registry.ts'
import { file, type PushedImage, pushImage } from './oci-image.ts'
import { Puller } from './puller.ts'

// Real images in a real registry, behind a server that counts and, where a test says so, cuts and lies.

let registry: TestRegistry
let image: PushedImage

before(async () => {
  registry = await startRegistry()
  image = await pushImage(registry, 'team/app:1', {
    layers: [300_000, 200_000, 100_000, 50_000].map((bytes, index) => [
      file(`file-${index}`, randomBytes(bytes)),
    ]),
    config: { Cmd: ['/bin/app'], Env: ['A=b=c'], Labels: { team: 'x' } },
  })
})
after(() => registry[Symbol.asyncDispose]())

const isBlob = ({ method, path }: { method: string; path: string }): boolean =>
  method === 'GET' && path.includes('/blobs/')
const isOf = (digest: string | undefined, exchange: { method: string; path: string }): boolean =>
  isBlob(exchange) && exchange.path.endsWith(`${digest}`)
const blobRequests = (front: Front): string[] =>
  front.requests
    .filter(isBlob)
    .map(({ path }) => path.slice(path.lastIndexOf('/') + 1))
    .sort()
const through = (front: Front, name = 'team/app:1'): string => `${front.host}/${name}`
const everyBlobOnce = (pushed: PushedImage): number => pushed.layers.length + 1

async function ownHome(): Promise<TestHome> {
  return await openTestHome({ ownImages: true })
}

async function fronted(answer?: (exchange: Exchange) => void | Promise<void>): Promise<Front> {
  const front = await startFront(registry.host)
  if (answer !== undefined) front.answer = answer
  return front
}

/** What a home has of images in files, by path and size. */
function files(home: TestHome): string[] {
  const root = join(home.path, 'images')
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => !path.includes('busybox-'))
    .sort()
}

test('a pulled image is told with its names, configuration, layers and history, and its files are private', async () => {
  await using home = await ownHome()
  const { images } = home.runtime
  const pulled = await images.pull(image.name)
  assert.equal(pulled.digest, image.digest)
  assert.deepEqual(pulled.names, [image.name])
  assert.deepEqual(pulled.createdAt, new Date('2026-01-02T03:04:05Z'))
  assert.ok(pulled.rootfsBytes > 0)
  assert.deepEqual(await images.list(), [pulled])
  const details = await images.inspect(image.digest.slice(7, 7 + 12))
  assert.deepEqual(details.config.command, ['/bin/app'])
  assert.deepEqual(details.config.env, { A: 'b=c' })
  assert.deepEqual(
    details.layers.map(({ digest, bytes, diffId }) => ({ digest, bytes, diffId })),
    image.layers,
  )
  assert.deepEqual(
    details.history.map(({ createdBy, bytes }) => [createdBy, bytes]),
    [
      ['settings', 0],
      ...image.layers.map(({ bytes }, index) => [`layer ${index}`, bytes] as const).reverse(),
    ],
  )
  assert.equal(details.bytes, pulled.bytes)
  for (const path of files(home)) {
    assert.equal(statSync(path).mode & 0o777, 0o600, path)
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700, path)
  }
  assert.deepEqual(readdirSync(join(home.path, 'tmp')), [])
})

test('a second pull asks what the name means and fetches nothing', async () => {
  await using front = await fronted()
  await using home = await ownHome()
  await home.runtime.images.pull(through(front))
  assert.equal(blobRequests(front).length, everyBlobOnce(image))
  const before = front.requests.length
  await home.runtime.images.pull(through(front))
  const methods = front.requests.slice(before).map(({ method }) => method)
  assert.deepEqual([...new Set(methods)], ['HEAD'])
})

test('pulls of one image at once fetch each layer once, in one process', async () => {
  await using front = await fronted()
  await using home = await ownHome()
  const pulls = Array.from({ length: 4 }, () => home.runtime.images.pull(through(front)))
  const digests = (await Promise.all(pulls)).map(({ digest }) => digest)
  assert.deepEqual(digests, Array(4).fill(image.digest))
  assert.equal(blobRequests(front).length, everyBlobOnce(image))
})

test('pulls of one image at once fetch each layer once, also in several processes, and who waits sees the progress', async () => {
  const open = Promise.withResolvers<void>()
  const [large] = image.layers
  const half = 150_000
  await using front = await fronted(async exchange => {
    if (!isOf(large?.digest, exchange)) return exchange.forward()
    const bytes = storedBlob(registry, large?.digest ?? '')
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
    [image.digest, image.digest],
  )
  assert.equal(blobRequests(front).length, everyBlobOnce(image))
})

test('three layers are fetched at a time, and a layer is merged while those above it are still on their way', async () => {
  const waiting: string[] = []
  let most = 0
  const three = Promise.withResolvers<void>()
  const merged = Promise.withResolvers<void>()
  const [lowest, , , top] = image.layers
  await using front = await fronted(async exchange => {
    if (image.layers.some(({ digest }) => isOf(digest, exchange))) {
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

test('every layer tells how far it is, up to all of its bytes', async () => {
  await using home = await ownHome()
  const events: LayerProgress[] = []
  await home.runtime.images.pull(image.name, {
    onProgress: ({ layer }) => {
      if (layer !== undefined) events.push(layer)
    },
  })
  for (const [index, { digest, bytes }] of image.layers.entries()) {
    const own = events.filter(event => event.index === index)
    const phases = own.map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1])
    assert.deepEqual(phases, ['waiting', 'downloading', 'waiting', 'merging', 'done'], digest)
    assert.ok(own.every(event => event.layer === digest && event.totalBytes === bytes && event.layers === 4))
    assert.equal(own.at(-1)?.bytes, bytes)
    assert.equal(own.filter(({ phase }) => phase === 'done').length, 1)
    assert.equal(own.filter(({ phase }) => phase === 'downloading').at(-1)?.bytes, bytes)
  }
})

test('what a killed process had of a layer is used by the next pull', async () => {
  const [large] = image.layers
  const half = 150_000
  await using front = await fronted(async exchange => {
    if (!isOf(large?.digest, exchange) || exchange.count > 1) return exchange.forward()
    const bytes = storedBlob(registry, large?.digest ?? '')
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
    await eventually('the other layers are there', () => blobRequests(front).length === everyBlobOnce(image))
    await puller.kill()
  }
  assert.deepEqual(await home.runtime.images.list(), [])
  const before = front.requests.length
  const pulled = await home.runtime.images.pull(through(front))
  assert.equal(pulled.digest, image.digest)
  const again = front.requests.slice(before).filter(request => isOf(large?.digest, request))
  assert.deepEqual(
    again.map(({ headers }) => headers.range),
    [`bytes=${half}-${(large?.bytes ?? 0) - 1}`],
  )
  assert.ok(files(home).every(path => !path.endsWith('.partial')))
})

test('a partial file with wrong bytes is noticed, thrown away, and the layer fetched from its start', async () => {
  await using front = await fronted()
  await using home = await ownHome()
  const [large] = image.layers
  const partial = join(home.path, 'images', 'blobs', 'sha256', `${large?.digest.slice(7)}.partial`)
  mkdirSync(dirname(partial), { recursive: true })
  writeFileSync(partial, Buffer.alloc(1000, 'x'))
  assert.equal((await home.runtime.images.pull(through(front))).digest, image.digest)
  const ranges = front.requests
    .filter(request => isOf(large?.digest, request))
    .map(({ headers }) => headers.range)
  assert.deepEqual(ranges, [`bytes=1000-${(large?.bytes ?? 0) - 1}`, undefined])
})

test('wrong bytes of a registry are no image, leave nothing to be used, and a later pull is whole', async () => {
  let isLying = true
  const [, middle] = image.layers
  await using front = await fronted(exchange =>
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
    files(home).every(path => !path.includes(`${middle?.digest.slice(7)}`) && !path.includes('rootfs')),
  )
  isLying = false
  assert.equal((await home.runtime.images.pull(through(front))).digest, image.digest)
})

test('a layer whose content is not what the configuration says is no image', async () => {
  await using home = await ownHome()
  const pushed = await pushImage(registry, 'team/wrong:1', {
    layers: [[file('a', 'a')]],
    more: { rootfs: { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`] } },
  })
  await assert.rejects(home.runtime.images.pull(pushed.name), failsWith('image_pull_failed', 'layer 1'))
  assert.deepEqual(await home.runtime.images.list(), [])
  assert.deepEqual(
    files(home).filter(path => path.includes('rootfs')),
    [],
  )
  await home.runtime.images.prune()
  assert.deepEqual(files(home), [])
})

test('a name that moves means its new image to who asks the registry, and its old one to who does not', async () => {
  await using home = await ownHome()
  const { images } = home.runtime
  const first = await pushImage(registry, 'team/moving:1', { layers: [[file('version', '1')]] })
  await images.pull(first.name)
  const second = await pushImage(registry, 'team/moving:1', { layers: [[file('version', '2')]] })
  assert.equal((await images.pull(first.name, { policy: 'missing' })).digest, first.digest)
  assert.equal((await images.pull(first.name, { policy: 'never' })).digest, first.digest)
  assert.equal((await images.pull(first.name)).digest, second.digest)
  const all = await images.list()
  assert.deepEqual(all.find(({ digest }) => digest === first.digest)?.names, [])
  const pinned = `${registry.host}/team/moving@${first.digest}`
  assert.equal((await images.pull(pinned, { policy: 'missing' })).digest, first.digest)
  assert.equal((await images.pull(pinned)).digest, first.digest)
  assert.deepEqual((await images.get(first.digest)).names, [pinned])
})

test('an image that is not here is refused without a registry, and said to be missing with one', async () => {
  await using home = await ownHome()
  const { images } = home.runtime
  await assert.rejects(
    images.pull(image.name, { policy: 'never' }),
    failsWith('not_found', image.name, 'may not be pulled'),
  )
  await assert.rejects(images.pull(`${registry.host}/team/none:1`), failsWith('not_found', 'team/none'))
  await assert.rejects(images.pull(image.digest), failsWith('not_found', 'no registry'))
})

test('without its registry an image is out of reach unless it is here', async () => {
  await using home = await ownHome()
  const gone = await startRegistry()
  const pushed = await pushImage(gone, 'app:1', { layers: [[file('a', 'a')]] })
  await home.runtime.images.pull(pushed.name)
  await gone[Symbol.asyncDispose]()
  assert.equal((await home.runtime.images.pull(pushed.name, { policy: 'missing' })).digest, pushed.digest)
  await assert.rejects(
    home.runtime.images.pull(`${gone.host}/other:1`, { signal: AbortSignal.timeout(20_000) }),
    failsWith('network_unavailable', gone.host),
  )
})

test('an image for other machines is refused, and so is another platform', async () => {
  await using home = await ownHome()
  const arm = await pushImage(registry, 'team/arm:1', {
    layers: [[file('a', 'a')]],
    more: { architecture: 'arm64' },
  })
  await assert.rejects(home.runtime.images.pull(arm.name), failsWith('unsupported', 'arm64', 'linux/amd64'))
  await assert.rejects(
    home.runtime.images.pull(image.name, { platform: 'linux/arm64' }),
    failsWith('unsupported', 'linux/arm64'),
  )
  assert.equal((await home.runtime.images.pull(image.name, { platform: 'linux/amd64' })).digest, image.digest)
})

test('a short name is looked for in the search registries, and means what was found there', async () => {
  await using home = await openTestHome({
    ownImages: true,
    images: { registries: { search: [registry.host] } },
  })
  const pulled = await home.runtime.images.pull('team/app:1')
  assert.deepEqual(pulled.names, [image.name])
  assert.equal((await home.runtime.images.get('team/app:1')).digest, image.digest)
})

test('two images of the same layers share one file, however the layers are stored', async () => {
  await using home = await ownHome()
  const layers = [[file('a', randomBytes(10_000))], [file('b', 'b')]]
  const one = await pushImage(registry, 'team/chain:1', { layers })
  const other = await pushImage(registry, 'team/chain:2', { layers, level: 1, config: { User: '7' } })
  assert.notEqual(one.layers[0]?.digest, other.layers[0]?.digest)
  await home.runtime.images.pull(one.name)
  await home.runtime.images.pull(other.name)
  assert.equal(files(home).filter(path => path.includes('rootfs')).length, 1)
  await home.runtime.images.remove(one.name)
  assert.equal(files(home).filter(path => path.includes('rootfs')).length, 1)
  await home.runtime.images.remove(other.name)
  assert.deepEqual(files(home), [])
})

test('an image that has a layer twice fetches it once', async () => {
  await using front = await fronted()
  await using home = await ownHome()
  const layer = [file('same', randomBytes(1000))]
  const pushed = await pushImage(registry, 'team/twice:1', { layers: [layer, layer] })
  assert.equal((await home.runtime.images.pull(through(front, 'team/twice:1'))).digest, pushed.digest)
  assert.equal(blobRequests(front).length, 2)
})

test('a pull that is given up ends at once and leaves what it has to the next one', async () => {
  const [large] = image.layers
  const abort = new AbortController()
  let isHeld = true
  await using front = await fronted(async exchange => {
    if (!isHeld || !isOf(large?.digest, exchange)) return exchange.forward()
    isHeld = false
    const bytes = storedBlob(registry, large?.digest ?? '')
    exchange.response.writeHead(200, { 'content-length': `${bytes.length}` })
    exchange.response.write(bytes.subarray(0, 65_536), () => abort.abort())
  })
  await using home = await ownHome()
  await assert.rejects(
    home.runtime.images.pull(through(front), { signal: abort.signal }),
    failsWith('aborted'),
  )
  assert.equal((await home.runtime.images.pull(through(front))).digest, image.digest)
})

test('a damaged blob of the home is noticed when it is looked at', async () => {
  await using home = await ownHome()
  await home.runtime.images.pull(image.name)
  const config = (await home.runtime.images.get(image.name)).configDigest
  appendFileSync(join(home.path, 'images', 'blobs', 'sha256', `${config?.slice(7)}`), ' ')
  await assert.rejects(home.runtime.images.inspect(image.name), failsWith('storage_error', 'damaged'))
})

test('a layer that the disk has changed is noticed when it is merged again, and fetched anew', async () => {
  await using front = await fronted()
  await using home = await ownHome()
  const { images } = home.runtime
  await images.pull(through(front))
  const [large] = image.layers
  const path = join(home.path, 'images', 'blobs', 'sha256', `${large?.digest.slice(7)}`)
  writeFileSync(path, Buffer.alloc(large?.bytes ?? 0, 'x'))
  rmSync(join(home.path, 'images', 'rootfs'), { recursive: true })
  await assert.rejects(
    images.pull(through(front), { policy: 'missing' }),
    failsWith('invalid_argument', 'layer 1'),
  )
  const before = blobRequests(front).length
  assert.equal((await images.pull(through(front))).digest, image.digest)
  assert.equal(blobRequests(front).length, before + 1)
})

test('wherever a pull is killed, what is left is no image or a whole one, and the next pull makes it whole', async () => {
  await using clean = await ownHome()
  await clean.runtime.images.pull(image.name)
  const expected = files(clean).map(path => path.slice(clean.path.length))
  for (const point of [
    'blob whole',
    'blob stored',
    'layers merged',
    'file in place',
    'before its record',
    'recorded',
  ]) {
    await using home = await ownHome()
    await using puller = new Puller(home.path, image.name, { COFFER_FAULT_AT: `image: ${point}` })
    await assert.rejects(puller.result(), point)
    await using runtime = await home.open()
    const isRecorded = point === 'recorded'
    assert.equal((await runtime.images.list()).length, isRecorded ? 1 : 0, point)
    assert.equal((await runtime.images.pull(image.name)).digest, image.digest, point)
    assert.deepEqual(
      files(home).map(path => path.slice(home.path.length)),
      expected,
      point,
    )
    assert.deepEqual(readdirSync(join(home.path, 'tmp')), [], point)
  }
})

test('an image without layers is an empty one', async () => {
  await using home = await ownHome()
  const pushed = await pushImage(registry, 'team/empty:1', { layers: [], config: { Cmd: ['/none'] } })
  assert.equal((await home.runtime.images.pull(pushed.name)).digest, pushed.digest)
  assert.deepEqual((await home.runtime.images.inspect(pushed.name)).layers, [])
})
