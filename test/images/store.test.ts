import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { ImageInfo } from '../../src/index.ts'
import { eventually, openTestHome, smallBox, type TestHome } from '../home.ts'
import { failsWith } from '../registry/client.ts'
import { startFront } from '../registry/front.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { scratchDirectory } from '../scratch.ts'
import { file, type PushedImage, pushImage, runnableLayer } from './oci-image.ts'
import { Puller } from './puller.ts'

let registry: TestRegistry
let runnable: PushedImage
/** Of 400 KB each. */
let plain: readonly PushedImage[]

before(async () => {
  registry = await startRegistry()
  runnable = await pushImage(registry, 'store/runnable:1', { layers: [runnableLayer()] })
  plain = await Promise.all(
    ['a', 'b', 'c'].map(name =>
      pushImage(registry, `store/${name}:1`, { layers: [[file(name, randomBytes(400_000))]] }),
    ),
  )
})
after(() => registry[Symbol.asyncDispose]())

const named = (index: number): string => plain[index]?.name ?? ''
const digestsOf = (infos: readonly ImageInfo[]): (string | undefined)[] =>
  infos.filter(({ isBuiltIn }) => !isBuiltIn).map(({ digest }) => digest)

/** Files of images in a home, the built-in one left out. */
function files(home: TestHome): string[] {
  const names = readdirSync(join(home.path, 'images'), { recursive: true, withFileTypes: true })
  return names
    .filter(entry => entry.isFile() && !entry.name.startsWith('busybox-'))
    .map(({ name }) => name)
    .sort()
}

test('an image goes with its last name, and its files with it', async () => {
  await using home = await openTestHome({ ownImages: true })
  const { images } = home.runtime
  const { digest, bytes, rootfsBytes } = await images.pull(named(0))
  await images.tag(named(0), 'mine:1')
  await images.tag('mine:1', 'mine:2')
  assert.deepEqual((await images.get('mine:2')).names, [named(0), 'mine:1', 'mine:2'])
  await assert.rejects(images.remove(digest ?? ''), failsWith('invalid_state', '3 names'))
  assert.deepEqual(await images.remove('mine:1'), {
    untagged: ['mine:1'],
    removed: undefined,
    freedBytes: 0,
  })
  await assert.rejects(images.get('mine:1'), failsWith('not_found', 'mine:1'))
  await images.remove(named(0))
  const removed = await images.remove('mine:2')
  assert.equal(removed.removed, digest)
  assert.equal(removed.freedBytes, bytes + rootfsBytes)
  assert.deepEqual(files(home), [])
  assert.deepEqual(await images.list(), [])
})

test('the name of the built-in image is nobody else’s, and it cannot be removed', async () => {
  await using home = await openTestHome({ ownImages: true })
  const { images } = home.runtime
  await images.pull(named(0))
  await assert.rejects(images.tag(named(0), 'busybox'), failsWith('invalid_argument', 'built-in'))
  await assert.rejects(images.remove('busybox'), failsWith('invalid_argument', 'built in'))
  const [, builtIn] = [await images.pull('busybox'), (await images.list()).at(-1)]
  assert.equal(builtIn?.isBuiltIn, true)
  await images.tag(named(0), 'docker.io/library/busybox:1.36')
  await images.tag(named(0), 'docker.io/library/busybox')
  const { digest, names } = await images.get('busybox:1.36')
  assert.equal(digest, plain[0]?.digest)
  assert.deepEqual(names, [named(0), 'busybox:1.36', 'docker.io/library/busybox:latest'])
  assert.equal((await images.get('busybox')).isBuiltIn, true)
  assert.deepEqual((await images.inspect('busybox')).config.command, ['sh'])
  assert.equal((await images.get('docker.io/library/busybox')).digest, plain[0]?.digest)
})

test('an image is not removed while a box is or will be started from it; by force it loses its names, and goes with the box', async () => {
  await using home = await openTestHome({ ownImages: true })
  const { images } = home.runtime
  await images.pull(runnable.name)
  const box = await home.runtime.create({ ...smallBox, image: runnable.name }, 'web')
  await assert.rejects(images.remove(runnable.name), failsWith('invalid_state', 'box web'))
  assert.equal((await box.run('cat', ['/etc/os-release'])).text, 'ID=test\n')
  await box.stop()
  await assert.rejects(images.remove(runnable.digest), failsWith('invalid_state', 'box web'))
  assert.deepEqual((await images.prune({ all: true })).removed, [])
  const { untagged, removed } = await images.remove(runnable.name, { force: true })
  assert.deepEqual([untagged, removed], [[runnable.name], undefined])
  await assert.rejects(images.get(runnable.name), failsWith('not_found'))
  assert.equal((await box.run('cat', ['/etc/os-release'])).text, 'ID=test\n')
  await home.runtime.remove('web', { force: true })
  assert.deepEqual(files(home), [])
  assert.deepEqual(digestsOf(await images.list()), [])
})

test('pruning takes what lost its name, what was interrupted and what belongs to nothing; all of it, what no box uses', async () => {
  await using home = await openTestHome({ ownImages: true })
  const { images } = home.runtime
  for (const { name } of [...plain, runnable]) await images.pull(name)
  await home.runtime.create({ ...smallBox, image: runnable.name })
  await images.tag(named(1), named(0))
  const blobs = join(home.path, 'images', 'blobs', 'sha256')
  writeFileSync(join(blobs, `${'1'.repeat(64)}.partial`), 'half')
  writeFileSync(join(blobs, '2'.repeat(64)), 'of no image')
  const used = await images.diskUsage()
  assert.deepEqual(used.partial, { count: 1, bytes: 4, reclaimableBytes: 4 })
  const first = await images.prune()
  assert.deepEqual(first.removed, [plain[0]?.digest])
  assert.ok(first.freedBytes > 800_000)
  assert.equal((await images.diskUsage()).totalBytes, used.totalBytes - first.freedBytes)
  assert.deepEqual(
    new Set(digestsOf(await images.list())),
    new Set([plain[1]?.digest, plain[2]?.digest, runnable.digest]),
  )
  const second = await images.prune({ all: true })
  assert.deepEqual(new Set(second.removed), new Set([named(0), named(1), named(2)]))
  assert.deepEqual(digestsOf(await images.list()), [runnable.digest])
  const left = await images.diskUsage()
  assert.equal(left.blobs.reclaimableBytes + left.rootfs.reclaimableBytes, 0)
})

test('what a pull under way may need stays, and goes when it is over', async () => {
  const open = Promise.withResolvers<void>()
  await using front = await startFront(registry.host)
  front.answer = async exchange => {
    if (exchange.path.endsWith(plain[1]?.layers[0]?.digest ?? '')) await open.promise
    await exchange.forward()
  }
  await using home = await openTestHome({ ownImages: true })
  const { images } = home.runtime
  await images.pull(named(0))
  await using puller = new Puller(home.path, `${front.host}/store/b:1`)
  await eventually('the pull is under way', () => front.requests.some(({ path }) => path.includes('/blobs/')))
  assert.equal((await images.remove(named(0))).freedBytes, 0)
  const pruning = images.prune()
  open.resolve()
  assert.equal((await puller.result()).digest, plain[1]?.digest)
  assert.ok((await pruning).freedBytes > 0)
  assert.deepEqual(digestsOf(await images.list()), [plain[1]?.digest])
  assert.equal(files(home).length, 4)
})

test('beyond the budget the least recently used images go, never one that a box uses', async () => {
  await using home = await openTestHome({ ownImages: true, images: { maxBytes: 2_000_000 } })
  const { images } = home.runtime
  // Each takes 800 KB, as stored and merged.
  await images.pull(named(0))
  await home.runtime.create({ ...smallBox, image: named(0) })
  await images.pull(named(1))
  assert.deepEqual(digestsOf(await images.list()), [plain[1]?.digest, plain[0]?.digest])
  await images.pull(named(2))
  assert.deepEqual(digestsOf(await images.list()), [plain[2]?.digest, plain[0]?.digest])
  assert.equal(files(home).length, 8)
})

test('a disk without room is told before anything is fetched, and one that fills up leaves no image', async context => {
  if (process.getuid?.() !== 0) return context.skip('mounting a small disk needs root')
  using scratch = scratchDirectory('full-disk')
  const path = join(scratch.path, 'home')
  mkdirSync(path)
  const zeros = await pushImage(registry, 'store/zeros:1', {
    layers: [[file('zeros', Buffer.alloc(60_000_000))]],
  })
  const large = await pushImage(registry, 'store/large:1', { layers: [[file('x', randomBytes(30_000_000))]] })
  // The home leaves 64 MiB to others.
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=88m', 'tmpfs', path])
  try {
    await using front = await startFront(registry.host)
    const { Runtime } = await import('../../src/index.ts')
    await using runtime = await Runtime.open({ home: path })
    await assert.rejects(
      runtime.images.pull(`${front.host}/store/large:1`),
      failsWith('storage_error', 'needs 29 MiB', 'coffer prune'),
    )
    assert.ok(front.requests.every(({ path }) => !path.endsWith(large.layers[0]?.digest ?? '')))
    await assert.rejects(runtime.images.pull(zeros.name), failsWith('storage_error', 'MiB', 'to spare'))
    assert.deepEqual(digestsOf(await runtime.images.list()), [])
    assert.deepEqual(readdirSync(join(path, 'tmp')), [])
  } finally {
    execFileSync('umount', [path])
  }
})

test('a removal that is killed on its way leaves files that pruning finds, and no image without files', async () => {
  await using home = await openTestHome({ ownImages: true })
  await home.runtime.images.pull(named(0))
  const source = join(import.meta.dirname, '..', '..', 'src', 'index.ts')
  const script = `import { Runtime } from ${JSON.stringify(source)}
    const runtime = await Runtime.open({ home: ${JSON.stringify(home.path)} })
    await runtime.images.remove(${JSON.stringify(named(0))})`
  const { signal } = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '--eval', script], {
    env: { ...process.env, COFFER_FAULT_AT: 'image: records gone' },
  })
  assert.equal(signal, 'SIGKILL')
  assert.deepEqual(digestsOf(await home.runtime.images.list()), [])
  assert.equal(files(home).length, 4)
  await home.runtime.images.prune()
  assert.deepEqual(files(home), [])
})
