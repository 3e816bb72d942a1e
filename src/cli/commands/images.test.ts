import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ImageInfo } from '../../image/describe.ts'
import { questionOf } from '../prune-images.ts'
import { formatHistory } from './history.ts'
import { formatImages } from './images.ts'
import { pinnedName } from './pull.ts'
import { formatUsage } from './system.ts'

const now = new Date('2030-01-01T02:00:00Z')
const digest = `sha256:${'0123456789ab'.repeat(5)}0123`
const image: ImageInfo = {
  digest,
  names: ['app:1', 'ghcr.io/team/app:1'],
  configDigest: digest,
  createdAt: new Date('2030-01-01T01:00:00Z'),
  addedAt: now,
  usedAt: now,
  bytes: 12_345_678,
  rootfsBytes: 30_000_000,
  boxes: ['abcdefghijkl'],
  isBuiltIn: false,
}
const builtIn: ImageInfo = {
  ...image,
  digest: undefined,
  names: ['busybox:latest'],
  createdAt: undefined,
  boxes: [],
  isBuiltIn: true,
}
const nameless: ImageInfo = { ...image, names: [], boxes: [] }

test('an image has a line for each of its names, and one if it has none', () => {
  assert.deepEqual(formatImages([image, nameless, builtIn], {}, now).split('\n'), [
    'NAME                ID            CREATED     SIZE     UNPACKED  BOXES',
    'app:1               0123456789ab  1 hour ago  12.3 MB  30.0 MB   1',
    'ghcr.io/team/app:1  0123456789ab  1 hour ago  12.3 MB  30.0 MB   1',
    '<none>              0123456789ab  1 hour ago  12.3 MB  30.0 MB   0',
    'busybox:latest      built in                           30.0 MB',
    '',
  ])
})

test('-q prints ids, of the built-in image none; --digests whole digests; --json all there is', () => {
  assert.equal(formatImages([image, builtIn], { quiet: true }, now), '0123456789ab\n')
  assert.equal(formatImages([image], { quiet: true, digests: true }, now), `${digest}\n`)
  assert.match(formatImages([image], { digests: true }, now), new RegExp(`NAME +DIGEST[^]*app:1 +${digest} `))
  assert.equal(JSON.parse(formatImages([image], { json: true }))[0].digest, digest)
})

test('a name with its digest means the image; with a digest already, or an id, nothing is added', () => {
  assert.equal(pinnedName('app:1', { digest }), `app:1@${digest}`)
  assert.equal(pinnedName(`app@${digest}`, { digest }), `app@${digest}`)
  assert.equal(pinnedName(digest, { digest }), digest)
  assert.equal(pinnedName('busybox', { digest: undefined }), 'busybox')
})

test('history has a line for each step, cut to a width unless all is asked for, and obeys nobody', () => {
  const step = {
    createdAt: '2030-01-01T01:00:00Z',
    createdBy: `RUN \u001b[31m one\n\ttwo ${'x'.repeat(100)}`,
    comment: 'buildkit',
    isEmptyLayer: false,
    bytes: 1500,
    layer: digest,
  }
  const empty = { ...step, createdAt: 'yesterday', createdBy: 'ENV A=1', comment: '', bytes: 0 }
  const [title, first = '', second, ...rest] = formatHistory([step, empty], { trunc: true }, now).split('\n')
  assert.match(title ?? '', /^CREATED +SIZE +CREATED BY +COMMENT$/)
  assert.match(first, /^1 hour ago {2}1\.5 kB {2}RUN \u{fffd}\[31m one two x+… {2}buildkit$/u)
  assert.match(second ?? '', /^ +0 B +ENV A=1$/)
  assert.deepEqual(rest, [''])
  assert.ok(formatHistory([step], { trunc: false }, now).includes('x'.repeat(100)))
  assert.equal(JSON.parse(formatHistory([step], { json: true, trunc: true }))[0].createdBy, step.createdBy)
})

test('disk usage has a line for each kind, and one for all', () => {
  const share = (count: number, bytes: number, reclaimableBytes: number) => ({
    count,
    bytes,
    reclaimableBytes,
  })
  const text = formatUsage({
    blobs: share(3, 1_000_000, 400_000),
    rootfs: share(2, 5_000_000, 0),
    partial: share(1, 100, 100),
    boxes: share(1, 0, 0),
    templates: share(1, 90_000_000, 0),
    totalBytes: 96_000_100,
  })
  assert.deepEqual(text.split('\n'), [
    'KIND                   COUNT  SIZE     RECLAIMABLE',
    'layers, as they came   3      1.0 MB   400.0 kB',
    'images, prepared       2      5.0 MB   0 B',
    'interrupted downloads  1      100 B    100 B',
    'boxes                  1      0 B      0 B',
    'templates              1      90.0 MB  0 B',
    'all                           96.0 MB  400.1 kB',
    '',
  ])
})

test('before pruning, images that would go are named: those that boxes use and the built-in one would not', () => {
  const free: ImageInfo = { ...image, names: ['old:1'], boxes: [] }
  const images = [image, free, nameless, builtIn]
  assert.equal(
    questionOf(images, true),
    `old:1\n${digest}\nRemove these 2 images, interrupted downloads, and what no image needs?`,
  )
  assert.equal(
    questionOf(images, false),
    `${digest}\nRemove this image, interrupted downloads, and what no image needs?`,
  )
  assert.equal(questionOf([image], true), 'Remove interrupted downloads, and what no image needs?')
})
