import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  createReadStream,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { withImage } from '../../src/erofs/image-fixture.ts'
import { isCofferError } from '../../src/errors.ts'
import { parseChanges } from '../../src/image/commit/parse-changes.ts'
import { inChunks } from '../../src/image/layer/tar-fixture.ts'
import { importRootfs } from '../../src/image/sources/import-rootfs.ts'
import { loadImages } from '../../src/image/sources/load.ts'
import { walkDirectory } from '../../src/image/sources/walk-directory.ts'
import { debianImage, debianImageUnavailable } from '../layers/debian-image.ts'
import { canCompare } from '../layers/reference.ts'
import { type Inode, surveyTree } from '../layers/tree-survey.ts'
import { run } from './images.ts'
import { type TestStore, testStore } from './store.ts'

/** A tree with all that trees can have, made by the system's own tools. */
async function makeTree(home: TestStore): Promise<string> {
  const root = home.at('root')
  mkdirSync(root)
  const script = String.raw`
    set -e
    mkdir -p bin etc/deep tmp dev "$(printf 'odd \377\tname')"
    chmod 1777 tmp; chmod 711 etc
    echo tool > bin/tool; chown 1000:3000000 bin/tool; chmod 4751 bin/tool
    ln bin/tool etc/linked; ln -s ../bin/tool etc/link; ln -s /nowhere etc/dangling
    mkfifo etc/pipe
    mknod dev/null c 1 3; mknod dev/big b 259 70000
    truncate -s 5000000 etc/sparse; echo end >> etc/sparse
    name=$(printf '%0200d' 7); mkdir "$name"; echo long > "$name/$name"
    touch -d '1969-12-31 23:59:58.5 UTC' etc/old
    setfattr -n user.comment -v 'a=b' bin/tool
    setfattr -n user.odd=name -v x etc/old
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 bin/tool
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("etc/socket")'
  `
  const { status, stderr } = spawnSync('sh', ['-c', script], { cwd: root, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return root
}

async function imported(
  home: TestStore,
  source: string | AsyncIterable<Uint8Array>,
): Promise<Map<string, Inode>> {
  const { digest } = await importRootfs(source, undefined, home.store)
  const { path } = await home.store.prepare(digest)
  return withImage(path, 'mount', surveyTree)
}

/** Mount points of boxes are added to every image. */
function assertSameTree(seen: Map<string, Inode>, expected: Map<string, Inode>, t: TestContext): void {
  for (const [path, inode] of expected) assert.deepEqual(seen.get(path), inode, JSON.stringify(path))
  t.diagnostic(`${expected.size} inodes`)
}

test('a directory becomes an image with all that it has, but sockets', async t => {
  if (!(await canCompare(t))) return
  using home = testStore()
  const root = await makeTree(home)
  const expected = await surveyTree(root)
  expected.delete('etc/socket')
  const seen = await imported(home, root)
  assertSameTree(seen, expected, t)
  assert.ok(!seen.has('etc/socket'))
})

for (const compression of ['none', 'gzip', 'zstd'] as const)
  test(`a tar by GNU tar becomes the same image, from a file and a stream (${compression})`, async t => {
    if (!(await canCompare(t))) return
    using home = testStore()
    const root = await makeTree(home)
    const expected = await surveyTree(root)
    expected.delete('etc/socket')
    const options = compression === 'none' ? [] : [`--${compression}`]
    const archive = home.at('root.tar')
    await run(
      'tar',
      '--xattrs',
      '--xattrs-include=*',
      '--sparse',
      '--format=posix',
      ...options,
      '-C',
      root,
      '-cf',
      archive,
      '.',
    )
    // tar knows a way to write this name that others do not read.
    const withoutOdd = new Map(
      [...expected].map(([path, inode]) => [path, path === 'etc/old' ? { ...inode, xattrs: {} } : inode]),
    )
    const seen = await imported(home, archive)
    const odd = seen.get('etc/old')
    assert.ok(odd !== undefined)
    seen.set('etc/old', { ...odd, xattrs: {} })
    assertSameTree(seen, withoutOdd, t)
    const again = await importRootfs(createReadStream(archive), 'stream', home.store)
    assert.equal(
      home.store.context.store.images.namesOf(again.digest)[0]?.reference,
      'docker.io/library/stream:latest',
    )
  })

test('the root file system of Debian is imported as it is', async t => {
  const unavailable = debianImageUnavailable()
  if (unavailable !== undefined) return t.skip(unavailable)
  if (!(await canCompare(t))) return
  using home = testStore()
  const { layoutDirectory } = await debianImage()
  const [image] = await loadImages(layoutDirectory, home.store)
  const { path } = await home.store.prepare(image?.digest ?? '')
  await withImage(path, 'mount', async root => {
    assertSameTree(await imported(home, root), await surveyTree(root), t)
  })
})

test('what is said about running it stands in its configuration', async () => {
  using home = testStore()
  mkdirSync(home.at('root'))
  const changes = [
    'CMD ["sh", "-c", "echo hi"]',
    'ENV A=1 B="two words"',
    'WORKDIR /srv',
    'USER app',
    'LABEL a.b=c',
    'EXPOSE 80',
  ]
  const { digest, configDigest } = await importRootfs(home.at('root'), 'app:1', home.store, {
    config: parseChanges(changes),
    message: 'made by hand',
  })
  const image = await home.store.prepare(digest)
  assert.deepEqual(image.command, ['sh', '-c', 'echo hi'])
  assert.deepEqual(image.env, { A: '1', B: 'two words' })
  assert.deepEqual([image.workdir, image.user, image.labels], ['/srv', 'app', { 'a.b': 'c' }])
  const blob = home.store.content.list().find(({ digest }) => digest === configDigest)
  assert.ok(blob !== undefined)
  assert.equal(
    JSON.parse(home.store.content.read(blob.digest, 1e6).toString()).history[0].comment,
    'made by hand',
  )
})

test('whoever swaps directories and links under the walk leads it nowhere', async () => {
  using home = testStore()
  const root = home.at('root')
  const canary = home.at('outside')
  mkdirSync(join(root, 'a'), { recursive: true })
  mkdirSync(canary)
  writeFileSync(join(canary, 'secret'), 'secret')
  for (let index = 0; index < 50; index++) writeFileSync(join(root, `a/${index}`), 'x')
  let swapped = false
  const seen: string[] = []
  for await (const { path, kind, content } of walkDirectory(root)) {
    seen.push(path)
    if (kind === 'file' && !(content instanceof Uint8Array))
      for await (const piece of content) assert.ok(!Buffer.from(piece).includes('secret'))
    if (path === 'a/0' && !swapped) {
      swapped = true
      rmSync(join(root, 'a'), { recursive: true })
      symlinkSync(canary, join(root, 'a'))
    }
  }
  assert.ok(swapped)
  assert.deepEqual(seen, ['./', 'a/', 'a/0'])
})

test('a file that becomes shorter while it is read is said, and nothing stays', async () => {
  using home = testStore()
  mkdirSync(home.at('root'))
  writeFileSync(home.at('root/large'), Buffer.alloc(4_000_000, 1))
  const cut = (): void => writeFileSync(home.at('root/large'), 'short')
  await assert.rejects(
    importRootfs(home.at('root'), undefined, home.store, { onBytes: cut }),
    error => isCofferError(error, 'invalid_argument') && /large/.test(error.message),
  )
  assert.deepEqual(home.store.content.list(), [])
})

test('an ordinary user’s own files become root’s, and what is not theirs stays', async t => {
  if (process.getuid?.() !== 0) return t.skip('making files of several users needs root')
  using home = testStore()
  mkdirSync(home.at('root'))
  for (const name of ['own', 'other']) writeFileSync(home.at(`root/${name}`), name)
  const user = 12_345
  chownSync(home.at('root'), user, user)
  chownSync(home.at('root/own'), user, user)
  chownSync(home.at('root/other'), 7, 8)
  const owners: [string, number, number][] = []
  chmodSync(home.at('..'), 0o755)
  process.setegid?.(user)
  process.seteuid?.(user)
  try {
    for await (const { path, uid, gid } of walkDirectory(home.at('root'))) owners.push([path, uid, gid])
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
  }
  assert.deepEqual(owners, [
    ['./', 0, 0],
    ['other', 7, 8],
    ['own', 0, 0],
  ])
})

test('what cannot be imported is refused', async () => {
  using home = testStore()
  const refuses = async (source: string | AsyncIterable<Uint8Array>, code: string): Promise<void> =>
    void (await assert.rejects(
      importRootfs(source, undefined, home.store),
      error => isCofferError(error) && error.code === code,
    ))
  await refuses(home.at('nothing'), 'not_found')
  writeFileSync(home.at('text'), 'this is no archive, and long enough to be none '.repeat(20))
  await refuses(home.at('text'), 'invalid_argument')
  await refuses(inChunks(Buffer.alloc(0), 1), 'invalid_argument')
  mkdirSync(home.at('whiteouts'))
  writeFileSync(home.at('whiteouts/.wh.file'), '')
  await refuses(home.at('whiteouts'), 'invalid_argument')
  assert.deepEqual(home.store.content.list(), [])
  assert.equal(statSync(home.at('text')).size, readFileSync(home.at('text')).length)
})
