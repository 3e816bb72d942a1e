import assert from 'node:assert/strict'
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkImage, chooseViewer, type Seen, survey, withImage } from '../../src/erofs/image-fixture.ts'
import { type ErrorCode, isCofferError } from '../../src/errors.ts'
import { mergeLayers } from '../../src/image/layer/merge.ts'
import { type TarItem, tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { scratchDirectory } from '../scratch.ts'
import { layerOf } from './layout.ts'

// The numbers are those of the list of security cases: what a hostile layer may try when it is unpacked.

type Scene = Disposable & {
  /** Of the file outside of the image that must stay as it is. */
  readonly canary: string
  /** Merges layers and gives the tree; fails if anything beside the image has changed. */
  merge(...layers: readonly (readonly TarItem[])[]): Promise<Map<string, Seen>>
  /** Merges layers that must be refused, and leave nothing. */
  refused(code: ErrorCode, message: RegExp, ...layers: readonly (readonly TarItem[])[]): Promise<void>
}

async function openScene(t: TestContext): Promise<Scene | undefined> {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return undefined
  const scratch = scratchDirectory('hostile')
  const canary = join(scratch.path, 'host', 'canary')
  mkdirSync(join(scratch.path, 'host'))
  mkdirSync(join(scratch.path, 'images'))
  writeFileSync(canary, 'untouched')
  chmodSync(canary, 0o640)
  const before = witness(scratch.path)
  let number = 0
  const newFolder = (): string => {
    const folder = join(scratch.path, 'images', `${number++}`)
    mkdirSync(folder)
    return folder
  }
  const merge = (folder: string, layers: readonly (readonly TarItem[])[]): Promise<unknown> =>
    mergeLayers(
      layers.map(items => layerOf(tarArchive(items))),
      join(folder, 'image'),
    )
  return {
    canary,
    async merge(...layers) {
      const folder = newFolder()
      const image = join(folder, 'image')
      await merge(folder, layers)
      await checkImage(image)
      assert.deepEqual(readdirSync(folder), ['image'])
      const seen = await withImage(image, viewer, root => survey(root, viewer))
      assert.deepEqual(witness(scratch.path), before)
      return seen
    },
    async refused(code, message, ...layers) {
      const folder = newFolder()
      await assert.rejects(
        merge(folder, layers),
        error =>
          isCofferError(error, code) &&
          message.test(error.message) &&
          error.details['layer'] === layers.length - 1,
      )
      assert.deepEqual(readdirSync(folder), [])
      assert.deepEqual(witness(scratch.path), before)
    },
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
}

function witness(scratch: string): unknown {
  const path = join(scratch, 'host', 'canary')
  const { mode, uid, gid, mtimeNs, ctimeNs, nlink } = lstatSync(path, { bigint: true })
  const text = readFileSync(path, 'utf8')
  return [
    text,
    mode,
    uid,
    gid,
    mtimeNs,
    ctimeNs,
    nlink,
    readdirSync(scratch),
    readdirSync(join(scratch, 'host')),
  ]
}

const file = (path: string, content = 'evil'): TarItem => ({ path, content })
const directory = (path: string): TarItem => ({ path, flag: '5', mode: 0o755 })
const link = (path: string, linkPath: string): TarItem => ({
  path,
  flag: '2',
  linkPath,
  pax: { linkpath: linkPath },
})
const hardLink = (path: string, linkPath: string): TarItem => ({
  path,
  flag: '1',
  linkPath,
  pax: { linkpath: linkPath },
})
const text = (tree: ReadonlyMap<string, Seen>, path: string): string | undefined =>
  tree.get(path)?.content?.toString()
const climb = '../'.repeat(30)

test('1: names with .. and absolute names stay in the image', async t => {
  using scene = await openScene(t)
  if (scene === undefined) return
  const inside = scene.canary.slice(1)
  const names = [scene.canary, climb + inside.replace('canary', 'other'), `a/../../${climb}etc/passwd`]
  const tree = await scene.merge(names.map(path => ({ ...file('x'), pax: { path } })))
  assert.deepEqual(
    [text(tree, inside), text(tree, inside.replace('canary', 'other')), text(tree, 'etc/passwd')],
    ['evil', 'evil', 'evil'],
  )
})

test('2, 3, 6: links to a place of the host lead to the same place in the image, also from another layer', async t => {
  using scene = await openScene(t)
  if (scene === undefined) return
  const inside = scene.canary.slice(1)
  const host = scene.canary.slice(0, -'/canary'.length)
  const entries = [
    file('absolute/canary'),
    file('relative/second'),
    hardLink('absolute/third', 'relative/second'),
  ]
  const links = [link('absolute', host), link('relative', climb + host.slice(1))]
  for (const layers of [[[...links, ...entries]], [links, entries]]) {
    const tree = await scene.merge(...layers)
    assert.deepEqual(
      ['canary', 'second', 'third'].map(name => text(tree, inside.replace('canary', name))),
      ['evil', 'evil', 'evil'],
    )
    assert.equal(tree.get('absolute')?.target, host)
  }
  // A link to the file itself is replaced, not followed.
  const tree = await scene.merge([link('l', scene.canary)], [file('l')])
  assert.equal(text(tree, 'l'), 'evil')
})

test('4, 5: hard links find nothing outside of the image, through any chain of links', async t => {
  using scene = await openScene(t)
  if (scene === undefined) return
  const host = scene.canary.slice(0, -'/canary'.length)
  const chain = [directory('a'), link('a/b', '..'), link('c', `a/b/${climb}${host.slice(1)}`)]
  for (const target of [scene.canary, climb + scene.canary.slice(1), 'c/canary', `a/b/c/canary`])
    await scene.refused('invalid_argument', /cannot link/, [...chain, hardLink('x', target)])
  // A link to a link is a link: what comes after it replaces it, and changes nothing behind it.
  const tree = await scene.merge([
    link('l', scene.canary),
    hardLink('h', 'l'),
    { path: 'h', mode: 0o777, uid: 5, content: 'x' },
  ])
  assert.deepEqual([text(tree, 'h'), tree.get('l')?.target], ['x', scene.canary])
})

test('7: whiteouts through links hide nothing of the host', async t => {
  using scene = await openScene(t)
  if (scene === undefined) return
  const host = scene.canary.slice(0, -'/canary'.length)
  const places = [host, climb + host.slice(1), '/']
  for (const place of places) {
    const hidden = [
      file('l/.wh.canary'),
      file('l/.wh..wh..opq'),
      file(`${climb}.wh.l`),
      { ...file('x'), pax: { path: `${host}/.wh.canary` } },
    ]
    const tree = await scene.merge([link('l', place), file('kept')], hidden)
    assert.equal(tree.has('l'), false)
  }
})

test('8, 9: whiteouts that hide no name are refused, those of odd types are whiteouts', async t => {
  using scene = await openScene(t)
  if (scene === undefined) return
  const lower = [directory('d'), file('d/a'), file('d/b')]
  for (const name of ['.wh.', '.wh..', '.wh...', 'd/.wh...', 'd/.wh..'])
    await scene.refused('invalid_argument', /hides no name/, lower, [file(name)])
  await scene.refused('invalid_argument', /inside the whiteout/, lower, [file('.wh.d/x')])
  const tree = await scene.merge(lower, [
    file('d/c'),
    directory('d/.wh..wh..opq'),
    file('d/.wh..wh..opq/x'),
    file('d/b'),
  ])
  assert.deepEqual([...tree.keys()].sort(), ['', 'd', 'd/b', 'd/c'])
  const aufs = await scene.merge([
    file('.wh..wh.aufs'),
    directory('.wh..wh.plnk'),
    file('.wh..wh.plnk/1.2'),
    file('f'),
  ])
  assert.deepEqual([...aufs.keys()].sort(), ['', 'f'])
})

test('10, 12: an entry replaces what is there, and the last one wins', async t => {
  using scene = await openScene(t)
  if (scene === undefined) return
  const tree = await scene.merge(
    [directory('d'), file('d/x'), file('f'), link('l', scene.canary), link('m', 'd')],
    [
      file('d', 'file'),
      directory('f'),
      file('f/y'),
      file('l', 'real'),
      file('l', 'realer'),
      directory('m'),
      file('m/z'),
    ],
  )
  assert.deepEqual([...tree.keys()].sort(), ['', 'd', 'f', 'f/y', 'l', 'm', 'm/z'])
  assert.equal(text(tree, 'l'), 'realer')
})

test('11: devices, pipes and privileges are in the image, and on the host there is none', async t => {
  using scene = await openScene(t)
  if (scene === undefined) return
  const disk: TarItem = { path: 'sda', flag: '4', major: 8, minor: 0, mode: 0o660 }
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
  const items: TarItem[] = [
    { path: 'su', mode: 0o6755, content: 'x' },
    { path: 'ping', content: 'x', pax: { 'SCHILY.xattr.security.capability': capability } },
    { path: 'order', content: 'x', pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc' } },
    { path: 'fifo', flag: '6' },
    { path: 'socket', mode: 0o140777 },
  ]
  // An ordinary user's way to look into images cannot show devices.
  const viewer = await chooseViewer(t)
  const tree = await scene.merge(viewer === 'mount' ? [...items, disk] : items)
  assert.equal(tree.get('su')?.mode, 0o106755)
  assert.equal(tree.has('socket'), false)
  if (viewer !== 'mount') return
  assert.deepEqual([tree.get('sda')?.device, tree.get('sda')?.mode], ['800', 0o60660])
  assert.deepEqual(
    ['ping', 'order'].map(path => tree.get(path)?.xattrs),
    [{ 'security.capability': capability.toString('hex') }, {}],
  )
})

test('13: names and sizes that no file system could hold are refused, odd ones are kept', async t => {
  using scene = await openScene(t)
  if (scene === undefined) return
  const odd = Buffer.from([0xff, 0xfe, 0x0a, 0x5c, 0x22])
  const long = 'n'.repeat(255)
  const tree = await scene.merge([
    { path: odd, content: 'x' },
    { path: 'x', content: 'y', pax: { path: `${long}/${long}` } },
  ])
  assert.deepEqual([text(tree, odd.toString('latin1')), text(tree, `${long}/${long}`)], ['x', 'y'])
  const named = (path: string): TarItem[] => [{ path: 'x', pax: { path } }]
  await scene.refused('invalid_argument', /NUL/, named('a\0b'))
  await scene.refused('invalid_argument', /256 bytes/, named('n'.repeat(256)))
  await scene.refused('invalid_argument', /4098 bytes/, named('n/'.repeat(2049)))
  await scene.refused('invalid_argument', /not a path/, [link('l', 't'.repeat(4096))])
  await scene.refused('invalid_argument', /not a path/, [{ path: 'l', flag: '2' }])
  await scene.refused('invalid_argument', /out of range/, [{ path: 'f', uid: 2 ** 32 }])
  await scene.refused('invalid_argument', /out of range/, [{ path: 'f', gid: -1 }])
  await scene.refused('invalid_argument', /out of range/, [{ path: 'f', flag: '3', major: 4096 }])
  await scene.refused('invalid_argument', /extended attribute/, [
    { path: 'f', pax: { 'SCHILY.xattr.user.x': 'x'.repeat(65_536) } },
  ])
  await scene.refused('invalid_argument', /negative size/, [{ path: 'f', size: Buffer.alloc(12, 0xff) }])
  await scene.refused('invalid_argument', /no size/, [{ path: 'f', pax: { size: `${2 ** 63}` } }])
  await scene.refused('invalid_argument', /ends at byte/, [{ path: 'f', size: 4 * 2 ** 30 - 1 }])
})
