import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { isCofferError } from '../errors.ts'
import { checkImage, chooseViewer, makeDirectory, survey, withImage } from './image-fixture.ts'
import { createTree, link, makeDirectory as mkdir, put, remove, type Tree } from './tree.ts'
import { createErofsWriter, type ErofsWriter } from './writer.ts'

const attributes = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 1_600_000_000, mtimeNanoseconds: 0 }
const directory = { ...attributes, mode: 0o755 }

const putFile = async (
  root: Tree,
  path: string,
  writer: ErofsWriter,
  content: Parameters<ErofsWriter['addFile']>[0],
) => put(root, path, { ...attributes, kind: 'file', content: await writer.addFile(content) })

test('file contents around every block boundary come back', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const image = join(await makeDirectory(t), 'image')
  const writer = await createErofsWriter(image)
  const root = createTree(directory)
  const sizes = [
    0,
    1,
    4031,
    4032,
    4033,
    4095,
    4096,
    4097,
    8191,
    8192,
    8193,
    8192 + 4032,
    8192 + 4033,
    1 << 20,
    (1 << 20) + 1,
  ]
  for (const size of sizes) await putFile(root, `${size}`, writer, pattern(size))
  const xattrs = new Map([['user.large', pattern(5000)]])
  for (const size of sizes) {
    put(root, `x${size}`, {
      ...attributes,
      xattrs,
      kind: 'file',
      content: await writer.addFile(pattern(size)),
    })
  }
  await writer.finish(root)
  await checkImage(image)
  const seen = await withImage(image, viewer, path => survey(path, viewer))
  for (const size of sizes) {
    assert.deepEqual(seen.get(`${size}`)?.content, pattern(size), `${size} bytes`)
    assert.deepEqual(seen.get(`x${size}`)?.content, pattern(size), `${size} bytes behind xattrs`)
  }
})

test('extended attributes of every size up to the limit come back, and nothing more goes in', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const image = join(await makeDirectory(t), 'image')
  const writer = await createErofsWriter(image)
  const root = createTree(directory)
  const content = await writer.addFile(pattern(4032))
  const sizes = [0, 1, 2, 3, 4, 3980, 4000, 4010, 4020, 4030, 4090, 4096, 8150, 20_000, 65_500]
  for (const size of sizes) {
    const xattrs = new Map([['user.size', pattern(size)]])
    put(root, `${size}`, { ...attributes, xattrs, kind: 'file', content })
  }
  const tooMany = new Map([['user.size', pattern(65_535)]])
  assert.throws(
    () => put(root, 'more', { ...attributes, xattrs: tooMany, kind: 'fifo' }),
    error => isCofferError(error, 'invalid_argument'),
  )
  await writer.finish(root)
  await checkImage(image)
  const seen = await withImage(image, viewer, path => survey(path, viewer))
  for (const size of sizes) {
    assert.deepEqual(seen.get(`${size}`)?.content, pattern(4032), `${size} bytes`)
    if (viewer === 'mount')
      assert.deepEqual(seen.get(`${size}`)?.xattrs, { 'user.size': pattern(size).toString('hex') })
  }
})

test('directories come back whole at every size around the block boundary', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const image = join(await makeDirectory(t), 'image')
  const writer = await createErofsWriter(image)
  const root = createTree(directory)
  // Beside the last name these take 3,977 bytes and 12 for its dirent: it fills what is left behind an inode at 43 bytes
  // and a whole block at 107.
  const lengths = Array.from({ length: 120 }, (_, index) => index + 1)
  for (const length of lengths) {
    mkdir(root, `d${length}`, directory)
    for (let index = 0; index < 14; index++) mkdir(root, `d${length}/${longName(index, 255)}`, directory)
    for (const [index, bytes] of [200, length].entries())
      mkdir(root, `d${length}/${longName(20 + index, Math.max(bytes, 3))}`, directory)
  }
  await writer.finish(root)
  await checkImage(image)
  const seen = await withImage(image, viewer, path => survey(path, viewer))
  assert.equal(seen.size, 1 + lengths.length * 17)
})

test('a directory of 20,000 names finds each of them', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const image = join(await makeDirectory(t), 'image')
  const writer = await createErofsWriter(image)
  const root = createTree(directory)
  const content = await writer.addFile(Buffer.from('x'))
  const names = Array.from(
    { length: 20_000 },
    (_, index) => `${(index * 7919) % 20_000}-${'n'.repeat(index % 50)}`,
  )
  for (const name of names) put(root, name, { ...attributes, kind: 'file', content })
  await writer.finish(root)
  const seen = await withImage(image, viewer, path => survey(path, viewer))
  assert.deepEqual([...seen.keys()].sort(), ['', ...names].sort())
})

test('100,000 files take bounded memory', async t => {
  const image = join(await makeDirectory(t), 'image')
  const fixture = join(import.meta.dirname, 'many-files-fixture.ts')
  // V8 collects late if it may, so limits on its heap tell what is needed: beyond them the process dies.
  const limits = ['--max-old-space-size=24', '--max-semi-space-size=4']
  const { stdout } = await promisify(execFile)(process.execPath, [...limits, fixture, image])
  const { inodes, peakKib } = JSON.parse(stdout)
  assert.equal(inodes, 101_001)
  assert.ok(peakKib < 220 * 1024, `${peakKib} KiB resident, with those of Node itself`)
  await checkImage(image)
})

test('tails beyond the memory limit are kept on disk', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const image = join(await makeDirectory(t), 'image')
  const writer = await createErofsWriter(image, { maxTailMemoryBytes: 1024 * 1024 })
  const root = createTree(directory)
  for (let index = 0; index < 2000; index++)
    await putFile(root, `${index}`, writer, pattern(1000 + index, index))
  await writer.finish(root)
  const seen = await withImage(image, viewer, path => survey(path, viewer))
  for (let index = 0; index < 2000; index++)
    assert.deepEqual(seen.get(`${index}`)?.content, pattern(1000 + index, index))
})

test('a file of 4.1 GiB of zeros takes next to no disk', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const image = join(await makeDirectory(t), 'image')
  const writer = await createErofsWriter(image)
  const root = createTree(directory)
  const chunk = Buffer.alloc(1024 * 1024)
  const chunks = 4200
  await putFile(
    root,
    'zeros',
    writer,
    (async function* () {
      for (let index = 0; index < chunks; index++) yield chunk
      yield Buffer.from('end')
    })(),
  )
  const { bytes } = await writer.finish(root)
  const { size, blocks } = await stat(image)
  assert.equal(size, bytes)
  assert.ok(blocks * 512 < 1024 * 1024, `${blocks * 512} bytes on disk`)
  if (viewer === 'extract') return t.skip('extracting would fill the disk')
  await withImage(image, viewer, async path => {
    const file = join(path, 'zeros')
    assert.equal((await stat(file)).size, chunks * chunk.length + 3)
    await using handle = await open(file)
    const end = Buffer.alloc(7)
    await handle.read(end, 0, 7, chunks * chunk.length - 4)
    assert.deepEqual(end, Buffer.from('\0\0\0\0end'))
  })
})

test('deep trees and long link targets come back', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const image = join(await makeDirectory(t), 'image')
  const writer = await createErofsWriter(image)
  const root = createTree(directory)
  // fsck.erofs recurses and overflows its stack on trees that Linux has no trouble with.
  const path = Array.from({ length: viewer === 'mount' ? 1500 : 300 }, () => 'd')
  for (let depth = 1; depth <= path.length; depth++) mkdir(root, path.slice(0, depth).join('/'), directory)
  const targets = [1, 4031, 4032, 4033, 4095].map(length => Buffer.alloc(length, 't'))
  const xattrs = new Map([['trusted.note', pattern(4000)]])
  for (const target of targets) {
    put(root, `s${target.length}`, { ...attributes, kind: 'symlink', target })
    put(root, `x${target.length}`, { ...attributes, kind: 'symlink', target, xattrs })
  }
  await writer.finish(root)
  const seen = await withImage(image, viewer, view => survey(view, viewer))
  assert.ok(seen.has(path.join('/')))
  for (const target of targets) {
    for (const kind of ['s', 'x'])
      assert.equal(seen.get(`${kind}${target.length}`)?.target, target.toString())
  }
})

test('the same tree gives the same bytes', async t => {
  const folder = await makeDirectory(t)
  const images: Buffer[] = []
  for (const order of [
    ['a', 'b', 'c'],
    ['c', 'a', 'b'],
  ]) {
    const writer = await createErofsWriter(join(folder, 'image'), { volumeName: 'same' })
    const root = createTree(directory)
    const content = await writer.addFile(pattern(10_000))
    for (const name of order) put(root, name, { ...attributes, kind: 'file', content })
    link(root, 'a', 'z')
    await writer.finish(root)
    images.push(await readFile(join(folder, 'image')))
  }
  assert.deepEqual(images[0], images[1])
})

test('contents that no file has any more are counted as waste', async t => {
  const writer = await createErofsWriter(join(await makeDirectory(t), 'image'))
  const root = createTree(directory)
  await putFile(root, 'replaced', writer, pattern(8192))
  await putFile(root, 'replaced', writer, pattern(4096))
  await putFile(root, 'removed', writer, pattern(4096))
  remove(root, 'removed')
  assert.equal((await writer.finish(root)).wastedBytes, 3 * 4096)
})

test('a failing source leaves the writer usable and its image sound', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const image = join(await makeDirectory(t), 'image')
  const writer = await createErofsWriter(image)
  const root = createTree(directory)
  const failure = new Error('connection lost')
  const broken = (async function* () {
    yield pattern(3_000_001)
    throw failure
  })()
  await assert.rejects(putFile(root, 'lost', writer, broken), failure)
  await putFile(root, 'zeros', writer, Buffer.alloc(300_000))
  await writer.finish(root)
  const seen = await withImage(image, viewer, path => survey(path, viewer))
  assert.deepEqual([...seen.keys()].sort(), ['', 'zeros'])
  assert.deepEqual(seen.get('zeros')?.content, Buffer.alloc(300_000))
})

test('two contents cannot be added at once, and nothing after the end', async t => {
  await using writer = await createErofsWriter(join(await makeDirectory(t), 'image'))
  const first = writer.addFile(pattern(1))
  await assert.rejects(writer.addFile(pattern(1)), error => isCofferError(error, 'invalid_state'))
  await first
  const root = createTree(directory)
  await writer.finish(root)
  await assert.rejects(writer.finish(root), error => isCofferError(error, 'invalid_state'))
})

test('a tree is written once', async t => {
  const folder = await makeDirectory(t)
  const root = createTree(directory)
  await (await createErofsWriter(join(folder, 'first'))).finish(root)
  await using second = await createErofsWriter(join(folder, 'second'))
  await assert.rejects(second.finish(root), error => isCofferError(error, 'invalid_state'))
})

test('an unwritable place is a storage error', async t => {
  const folder = await makeDirectory(t)
  await rm(folder, { recursive: true })
  await assert.rejects(createErofsWriter(join(folder, 'image')), error =>
    isCofferError(error, 'storage_error'),
  )
})

const longName = (index: number, length: number): string => `${index}`.padStart(3, '0').padEnd(length, '-')

function pattern(size: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  for (let at = 0; at < size; at++) bytes[at] = ((at * 31 + seed * 7 + (at >> 8)) & 0xff) | 1
  return bytes
}
