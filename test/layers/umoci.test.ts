import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type TarItem, tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { scratchDirectory } from '../scratch.ts'
import { writeLayout } from './layout.ts'
import { canCompare, compareWithUmoci } from './reference.ts'

const directory = (path: string, more: Partial<TarItem> = {}): TarItem => ({
  path,
  flag: '5',
  mode: 0o755,
  ...more,
})
const file = (path: string, content = path, more: Partial<TarItem> = {}): TarItem => ({
  path,
  content,
  ...more,
})
const link = (path: string, linkPath: string): TarItem => ({ path, flag: '2', linkPath })
const hardLink = (path: string, linkPath: string): TarItem => ({ path, flag: '1', linkPath })
const hide = (path: string): TarItem => ({ path })

/** Layers, the lowest first, by what they are about. */
const images: Readonly<Record<string, readonly (readonly TarItem[])[]>> = {
  'whiteouts hide files and directories of lower layers': [
    [directory('d'), file('d/a'), file('d/b'), directory('e'), file('e/a'), file('f')],
    [hide('d/.wh.a'), hide('.wh.e'), hide('.wh.f'), hide('.wh.nothing'), hide('no/such/.wh.directory')],
  ],
  'a whiteout does not hide what its own layer has, in any order': [
    [directory('d'), file('d/a'), file('d/b'), file('x'), file('y')],
    [hide('.wh.d'), file('d/new'), file('x', 'new'), hide('.wh.x'), hide('.wh.y'), file('y', 'new')],
    [file('d/newer'), hide('.wh.d')],
  ],
  'an opaque directory keeps its siblings, in any order': [
    [
      directory('d', { mode: 0o700 }),
      file('d/a'),
      directory('d/e'),
      file('d/e/x'),
      directory('f'),
      file('f/a'),
    ],
    [
      file('d/before'),
      hide('d/.wh..wh..opq'),
      file('d/after'),
      file('d/e/y'),
      directory('f'),
      hide('f/.wh..wh..opq'),
    ],
    [file('d/e/z'), hide('d/.wh..wh..opq'), hide('.wh..wh..opq')],
  ],
  'whiteouts of any type, and of nothing': [
    [directory('d'), file('d/a'), file('d/b'), file('f')],
    [
      directory('d/.wh.a'),
      link('d/.wh.b', '/etc'),
      hide('f/.wh.x'),
      hide('f/.wh..wh..opq'),
      directory('g/.wh..wh..opq'),
    ],
  ],
  'whiteouts act through links to directories': [
    [
      directory('real'),
      file('real/a'),
      file('real/b'),
      link('to', 'real'),
      link('absolute', '/real'),
      link('file', 'real/b'),
    ],
    [hide('to/.wh.a'), file('absolute/c')],
    [hide('.wh.file')],
    [hide('absolute/.wh..wh..opq'), file('to/d')],
  ],
  'entries go through links, which stay inside': [
    [
      directory('usr'),
      directory('usr/lib'),
      link('lib', 'usr/lib'),
      link('up', '../../../usr'),
      link('etc', '/usr/../../usr/lib'),
    ],
    [
      file('lib/a'),
      file('up/b'),
      file('etc/c'),
      link('chain', 'up/lib'),
      file('chain/d'),
      link('gone', '/not/../there/yet'),
      file('gone/e'),
    ],
  ],
  'hard links within and across layers': [
    [
      file('a'),
      hardLink('b', 'a'),
      link('s', 'a'),
      hardLink('t', 's'),
      directory('d'),
      link('l', '/d'),
      file('d/x'),
    ],
    [hardLink('c', '/a'), hardLink('y', 'l/x'), hardLink('l/z', './d/../d/x'), hide('.wh.a')],
    [file('b', 'replaced'), hardLink('d/w', 'c')],
  ],
  'an entry of another type replaces what is there': [
    [file('a'), directory('b'), file('b/x'), link('c', 'b'), link('d', 'a'), directory('e'), file('e/x')],
    [
      directory('a'),
      file('a/y'),
      file('b', 'b'),
      directory('c'),
      file('c/z'),
      file('d', 'd'),
      link('e', 'a'),
    ],
  ],
  'of duplicates the last one wins': [
    [
      file('a', '1'),
      file('a', '2', { mode: 0o600 }),
      directory('d', { uid: 1 }),
      file('d/x'),
      directory('d', { uid: 2 }),
      hardLink('h', 'a'),
      file('a', '3'),
    ],
  ],
  'names are cleaned': [
    [
      file('/absolute'),
      file('../../above'),
      file('./dot'),
      file('x/../y'),
      file('deep/../../z'),
      directory('./d//e/'),
      file('d/./e/f'),
    ],
  ],
  'directories on the way are made': [
    [file('a/b/c/d'), directory('a/b', { mode: 0o700, uid: 5 })],
    [file('e/f/g')],
  ],
  'devices, pipes and modes': [
    [
      directory('./', { mode: 0o1711, uid: 3, gid: 4 }),
      { path: 'null', flag: '3', major: 1, minor: 3, mode: 0o666 },
      { path: 'disk', flag: '4', major: 259, minor: 70_000 },
      { path: 'pipe', flag: '6', mode: 0o620 },
      file('setuid', 'x', { mode: 0o6755, uid: 70_000, gid: 4_000_000_000 }),
      directory('sticky', { mode: 0o1777, mtime: -100 }),
      file('time', 'x', { pax: { mtime: '1600000000.987654321' } }),
    ],
  ],
  'extended attributes': [
    [
      file('capable', 'x', {
        pax: {
          'SCHILY.xattr.security.capability': Buffer.from('0100000200040000000000000000000000000000', 'hex'),
        },
      }),
      file('user', 'x', {
        pax: {
          'SCHILY.xattr.user.note': 'a=b\n',
          'SCHILY.xattr.security.selinux': 'label',
          'SCHILY.xattr.user.overlay.x': 'y',
        },
      }),
      directory('d', { pax: { 'SCHILY.xattr.trusted.x': Buffer.from([0, 1, 255]) } }),
    ],
    [directory('d'), file('user', 'y')],
  ],
  'long names in bytes of no encoding': [
    [
      file('x', 'x', {
        pax: {
          path: Buffer.concat([
            Buffer.from('d/'),
            Buffer.alloc(200, 0xe9),
            Buffer.from('/'),
            Buffer.alloc(255, 'n'),
          ]),
        },
      }),
    ],
  ],
  'a file on the way is refused': [[file('f')], [file('f/below')]],
  'a link in a circle is refused': [[link('a', 'b'), link('b', 'a'), file('a/x')]],
  'a hard link to nothing is refused': [[hardLink('a', 'b')]],
  'a hard link to itself is refused': [[file('a'), hardLink('a', 'a')]],
  'a hard link to a directory is refused': [[directory('d'), hardLink('a', 'd')]],
  'a root that is no directory is refused': [[link('./', '/etc')]],
}

for (const [title, layers] of Object.entries(images)) {
  test(`as umoci: ${title}`, async t => {
    if (!(await canCompare(t))) return
    using scratch = scratchDirectory('umoci')
    const compressions = ['none', 'gzip'] as const
    const layout = writeLayout(
      join(scratch.path, 'layout'),
      layers.map((items, index) => ({
        tar: tarArchive(items),
        compression: compressions[index % 2] ?? 'none',
      })),
    )
    const { refused } = await compareWithUmoci(join(scratch.path, 'compared'), layout)
    assert.equal(refused, title.includes('refused'))
  })
}
