import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { checkImage, chooseViewer, withImage } from '../../src/erofs/image-fixture.ts'
import { mergeLayers } from '../../src/image/layer/merge.ts'
import { writeFileAtomic } from '../../src/state/atomic-file.ts'
import { scratchDirectory } from '../scratch.ts'
import { debianImage, debianImageUnavailable } from './debian-image.ts'
import { layersOf } from './layout.ts'
import { canCompare, compareImage, compareWithUmoci, unpackWithUmoci } from './reference.ts'
import { type Inode, surveyTree } from './tree-survey.ts'

const run = promisify(execFile)

/** A tree with something of everything; root may make all of it. */
function makeTree(root: string): void {
  mkdirSync(join(root, 'd', 'n'.repeat(60), 'm'.repeat(60)), { recursive: true })
  writeFileSync(join(root, 'd', 'n'.repeat(60), 'm'.repeat(60), 'deep'), 'deep')
  writeFileSync(join(root, 'file'), 'x'.repeat(70_000), { mode: 0o604 })
  writeFileSync(join(root, 'empty'), '')
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x80])]), 'bytes')
  symlinkSync('d/../file', join(root, 'symlink'))
  execFileSync('ln', [join(root, 'file'), join(root, 'd', 'hard link')])
  execFileSync('mknod', [join(root, 'null'), 'c', '1', '3'])
  execFileSync('mkfifo', [join(root, 'fifo')])
  execFileSync('chown', ['70000:80000', join(root, 'empty')])
  chmodSync(join(root, 'd'), 0o2750)
  writeFileSync(join(root, 'sparse'), '')
  truncateSync(join(root, 'sparse'), 3_000_000)
  // Pieces at the ends of holes, more than the header of the old format has room for.
  for (let index = 0; index < 30; index++)
    execFileSync('dd', [
      'if=/etc/hostname',
      `of=${root}/sparse`,
      'bs=4096',
      `seek=${index * 20}`,
      'conv=notrunc',
      'status=none',
    ])
  lutimesSync(join(root, 'symlink'), 1000, 1000)
}

const formats: Readonly<Record<string, readonly string[]>> = {
  v7: ['--format=v7'],
  ustar: ['--format=ustar'],
  oldgnu: ['--format=oldgnu', '--sparse'],
  gnu: ['--format=gnu', '--sparse'],
  pax: ['--format=pax', '--xattrs', '--xattrs-include=*'],
  'pax, sparse 0.0': ['--format=pax', '--sparse', '--sparse-version=0.0'],
  'pax, sparse 0.1': ['--format=pax', '--sparse', '--sparse-version=0.1'],
  'pax, sparse 1.0': ['--format=pax', '--sparse', '--sparse-version=1.0'],
}

for (const [format, options] of Object.entries(formats)) {
  test(`an archive of GNU tar comes back as it was: ${format}`, async t => {
    const viewer = await chooseViewer(t)
    if (viewer === undefined) return
    if (viewer === 'extract')
      return t.skip('comparing owners and devices needs root and a loop mount of EROFS')
    using scratch = scratchDirectory('tar')
    const root = join(scratch.path, 'root')
    mkdirSync(root)
    makeTree(root)
    if (options.includes('--xattrs'))
      execFileSync('setfattr', ['-n', 'user.note', '-v', 'a=b', join(root, 'file')])
    // What the oldest formats have no room for.
    if (format === 'v7' || format === 'ustar') rmSync(join(root, 'd', 'n'.repeat(60)), { recursive: true })
    if (format === 'v7') for (const name of ['null', 'fifo']) rmSync(join(root, name))
    const tar = await run('tar', ['-c', ...options, '-C', root, '.'], {
      encoding: 'buffer',
      maxBuffer: 1 << 27,
    })
    const image = join(scratch.path, 'image')
    await mergeLayers(
      [
        {
          diffId: undefined,
          mediaType: undefined,
          bytes: tar.stdout.length,
          open: async function* () {
            yield tar.stdout
          },
        },
      ],
      image,
    )
    await checkImage(image)
    const expected = await surveyTree(root)
    const seen = await withImage(image, 'mount', surveyTree)
    const keepsNanoseconds = format.startsWith('pax')
    assert.deepEqual(
      [...seen],
      [...expected].map(([path, inode]): [string, Inode] => [
        path,
        keepsNanoseconds ? inode : inSeconds(inode),
      ]),
    )
  })
}

const inSeconds = (inode: Inode): Inode => ({ ...inode, mtimeNs: (inode.mtimeNs / 10n ** 9n) * 10n ** 9n })

test('an image of layers that umoci made is what umoci unpacks', async t => {
  if (!(await canCompare(t))) return
  using scratch = scratchDirectory('umoci')
  const layout = join(scratch.path, 'layout')
  const tag = `${layout}:image`
  const umoci = (...args: readonly string[]): Promise<unknown> => run('umoci', [...args])
  const at = (name: string): string => join(scratch.path, name)

  // 1. A tree, and another inserted over a part of it.
  mkdirSync(at('base'))
  makeTree(at('base'))
  await umoci('init', '--layout', layout)
  await umoci('new', '--image', tag)
  await umoci('insert', '--image', tag, at('base'), '/')
  mkdirSync(at('more'))
  writeFileSync(join(at('more'), 'new'), 'new')
  await umoci('insert', '--image', tag, '--opaque', at('more'), '/d')
  await umoci('insert', '--image', tag, '--whiteout', '/symlink')

  // 2. Changes of every kind, as a build makes them.
  for (const round of [1, 2]) {
    const bundle = at(`bundle${round}`)
    await umoci('unpack', '--image', tag, bundle)
    const root = join(bundle, 'rootfs')
    if (round === 1) {
      rmSync(join(root, 'fifo'))
      mkdirSync(join(root, 'fifo'))
      writeFileSync(join(root, 'fifo', 'now a directory'), 'x')
      appendFileSync(join(root, 'file'), 'changed')
      execFileSync('ln', [join(root, 'empty'), join(root, 'd', 'linked')])
      execFileSync('setfattr', [
        '-n',
        'security.capability',
        '-v',
        '0x0100000200040000000000000000000000000000',
        join(root, 'file'),
      ])
    } else {
      rmSync(join(root, 'fifo'), { recursive: true })
      symlinkSync('/d', join(root, 'fifo'))
      rmSync(join(root, 'd', 'new'))
      chmodSync(join(root, 'empty'), 0o4755)
      execFileSync('chown', ['4000000000:5', join(root, 'd')])
    }
    await umoci('repack', '--image', tag, bundle)
  }
  assert.equal(layersOf(layout).length, 5)
  const { entries } = await compareWithUmoci(at('compared'), layout)
  assert.ok(entries > 8)
})

test('a Debian image is what umoci unpacks', async t => {
  if (!(await canCompare(t))) return
  const reason = debianImageUnavailable()
  if (reason !== undefined) return t.skip(reason)
  using scratch = scratchDirectory('debian')
  const { layoutDirectory, tag } = await debianImage()
  const image = join(scratch.path, 'image')
  const [expected] = await Promise.all([
    unpackedDebian(layoutDirectory, tag, scratch.path),
    mergeLayers(layersOf(layoutDirectory, tag), image),
  ])
  // What is younger than the image was written by umoci.
  const { mtimeNs } = statSync(join(layoutDirectory, 'index.json'), { bigint: true })
  const entries = await compareImage(image, expected, mtimeNs)
  assert.ok(entries > 5000, `${entries} entries`)
})

/** What umoci makes of it, kept beside the image, which never changes: unpacking takes longer than all tests here. */
async function unpackedDebian(layout: string, tag: string, scratch: string): Promise<Map<string, Inode>> {
  const kept = join(layout, '..', 'unpacked.json')
  if (!existsSync(kept)) {
    const survey = await unpackWithUmoci(join(scratch, 'bundle'), layout, tag)
    const entries = [...survey].map(([path, inode]) => [path, { ...inode, mtimeNs: `${inode.mtimeNs}` }])
    writeFileAtomic(kept, JSON.stringify(entries))
  }
  const entries: [string, Inode][] = JSON.parse(readFileSync(kept, 'utf8'))
  return new Map(entries.map(([path, inode]) => [path, { ...inode, mtimeNs: BigInt(inode.mtimeNs) }]))
}
