import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { createGzip, gzipSync } from 'node:zlib'
import { chooseViewer, survey, withImage } from '../../src/erofs/image-fixture.ts'
import { isCofferError } from '../../src/errors.ts'
import { type MergeProgress, mergeLayers } from '../../src/image/layer/merge.ts'
import { padded, type TarItem, tarArchive, tarItem, withChecksum } from '../../src/image/layer/tar-fixture.ts'
import { scratchDirectory } from '../scratch.ts'
import { layerOf } from './layout.ts'

const lower = tarArchive([
  { path: 'a', content: 'lower' },
  { path: 'b', content: 'b'.repeat(100_000) },
])
const upper = tarArchive([{ path: 'a', content: 'upper' }])
const digest = (bytes: Buffer, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`

test('the same layers give the same bytes, and their diff ids', async () => {
  using scratch = scratchDirectory('merge')
  const layers = [layerOf(lower), layerOf(gzipSync(upper), { diffId: digest(upper, 'sha512') })]
  const merged = await mergeLayers(layers, join(scratch.path, 'a'))
  assert.deepEqual(merged.diffIds, [digest(lower), digest(upper, 'sha512')])
  assert.deepEqual([merged.inodes, merged.bytes], [3, readFileSync(join(scratch.path, 'a')).length])
  await mergeLayers(layers, join(scratch.path, 'b'))
  assert.ok(readFileSync(join(scratch.path, 'a')).equals(readFileSync(join(scratch.path, 'b'))))
})

test('a layer that is not what was announced leaves no image', async () => {
  using scratch = scratchDirectory('merge')
  const type = 'application/vnd.oci.image.layer.v1.tar+gzip'
  const refusals = [
    [{ diffId: digest(lower) }, 'digest'],
    [{ diffId: digest(upper, 'sha512').replace('sha512', 'sha256') }, 'digest'],
    [{ diffId: 'md5:00' }, 'digest'],
    [{ bytes: upper.length + 1 }, 'size'],
    [{ bytes: upper.length - 1 }, 'size'],
    [{ mediaType: type }, undefined],
  ] as const
  for (const [said, reason] of refusals) {
    await assert.rejects(
      mergeLayers([layerOf(lower), layerOf(upper, said)], join(scratch.path, 'image')),
      error =>
        isCofferError(error, 'invalid_argument') &&
        error.details['reason'] === reason &&
        error.details['layer'] === 1 &&
        /layer 2 of the image/.test(error.message),
    )
    assert.deepEqual(readdirSync(scratch.path), [])
  }
})

test('progress counts the bytes of all layers', async () => {
  using scratch = scratchDirectory('merge')
  const seen: MergeProgress[] = []
  const layers = [lower, upper].map(tar => layerOf(tar, { bytes: tar.length }))
  await mergeLayers(layers, join(scratch.path, 'image'), { onProgress: progress => seen.push(progress) })
  const totalBytes = lower.length + upper.length
  assert.deepEqual(seen, [
    { layer: 0, layers: 2, bytes: lower.length, totalBytes },
    { layer: 1, layers: 2, bytes: totalBytes, totalBytes },
  ])
})

test('an abort ends it, in the middle of a layer and of a hole', async () => {
  using scratch = scratchDirectory('merge')
  const image = join(scratch.path, 'image')
  const controller = new AbortController()
  const onProgress = (): void => controller.abort(new Error('enough'))
  const hole = { 'GNU.sparse.map': '0,1', 'GNU.sparse.size': `${2 ** 35}` }
  for (const items of [[{ path: 'a' }], [{ path: 'a', content: 'x', pax: hole }]] satisfies TarItem[][])
    await assert.rejects(
      mergeLayers([layerOf(tarArchive(items))], image, { signal: controller.signal, onProgress }),
      error => isCofferError(error, 'aborted'),
    )
  const later = new AbortController()
  const merging = mergeLayers([layerOf(tarArchive([{ path: 'a', content: 'x', pax: hole }]))], image, {
    signal: later.signal,
  })
  setImmediate(() => setImmediate(() => later.abort()))
  await assert.rejects(merging, error => isCofferError(error, 'aborted'))
  assert.deepEqual(readdirSync(scratch.path), [])
})

test('what a source throws comes out, and leaves nothing', async () => {
  using scratch = scratchDirectory('merge')
  const broken = new Error('the cable')
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield lower.subarray(0, 2000)
    throw broken
  }
  const merging = mergeLayers([layerOf(lower, { open })], join(scratch.path, 'image'))
  await assert.rejects(merging, error => error === broken)
  assert.deepEqual(readdirSync(scratch.path), [])
})

test('mount points are added where nothing is, and nowhere else', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  using scratch = scratchDirectory('merge')
  let number = 0
  const merged = async (items: readonly TarItem[], mountPoints: boolean): Promise<Map<string, string>> => {
    const image = join(scratch.path, `image${number++}`)
    await mergeLayers([layerOf(tarArchive(items))], image, { mountPoints })
    const seen = await withImage(image, viewer, root => survey(root, viewer))
    return new Map([...seen].map(([path, { mode, target }]) => [path, target ?? mode.toString(8)]))
  }
  const all = await merged([{ path: './', flag: '5', mode: 0o755 }], true)
  assert.deepEqual([...all].sort(), [
    ['', '40755'],
    ['dev', '40755'],
    ['etc', '40755'],
    ['etc/hostname', '100644'],
    ['etc/hosts', '100644'],
    ['etc/machine-id', '100644'],
    ['etc/resolv.conf', '100644'],
    ['proc', '40555'],
    ['sys', '40555'],
    ['tmp', '41777'],
  ])
  assert.equal((await merged([{ path: 'a' }], false)).size, 2)
  const link = (path: string, linkPath: string): TarItem => ({ path, flag: '2', linkPath })
  const linked = await merged(
    [{ path: 'd', flag: '5', mode: 0o700 }, link('etc', 'd'), link('tmp', 'd'), { path: 'dev' }],
    true,
  )
  assert.deepEqual(
    [linked.get('etc'), linked.get('tmp'), linked.get('dev'), linked.has('d/hosts')],
    ['d', 'd', '100644', false],
  )
  const own = await merged(
    [{ path: 'etc/hosts', mode: 0o600 }, link('etc/resolv.conf', '../run/resolv.conf')],
    true,
  )
  assert.deepEqual(
    [own.get('etc/hosts'), own.get('etc/resolv.conf'), own.get('etc/hostname')],
    ['100600', '../run/resolv.conf', '100644'],
  )
})

test('neither a gigabyte in 40,000 files nor 100,000 tiny ones take much memory, and hardly any of V8’s heap', async () => {
  using scratch = scratchDirectory('merge')
  const layer = join(scratch.path, 'layer')
  const fixture = join(import.meta.dirname, 'memory-fixture.ts')
  // V8 collects late if it may, so limits on its heap tell what is needed: beyond them the process dies.
  const limits = ['--no-warnings', '--max-old-space-size=24', '--max-semi-space-size=4']
  for (const [count, bytes, mostMib] of [
    [40_000, 26_000, 80],
    [100_000, 1, 60],
  ] as const) {
    await pipeline(manyFiles(count, bytes), createGzip({ level: 1 }), createWriteStream(layer))
    const args = [...limits, fixture, layer, join(scratch.path, 'image')]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const { inodes, aboveIdleMib } = JSON.parse(stdout)
    assert.equal(inodes, count + count / filesPerDirectory + 1)
    assert.ok(aboveIdleMib < mostMib, `${aboveIdleMib} MiB above idle`)
  }
})

const filesPerDirectory = 100

async function* manyFiles(count: number, bytes: number): AsyncGenerator<Uint8Array> {
  const header = tarItem({ path: '', size: bytes })
  const content = padded(Buffer.alloc(bytes, 'content '))
  let held: Buffer[] = []
  for (let index = 0; index < count; index++) {
    header.fill(0, 0, 100)
    header.write(`directory-${Math.floor(index / filesPerDirectory)}/file-${index}`)
    held.push(Buffer.concat([withChecksum(header), content]))
    if (held.length < 64) continue
    yield Buffer.concat(held)
    held = []
  }
  yield Buffer.concat(held)
}
