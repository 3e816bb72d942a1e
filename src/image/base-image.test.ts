import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { access, chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { checkImage, chooseViewer, type Seen, survey, withImage } from '../erofs/image-fixture.ts'
import { isCofferError } from '../errors.ts'
import { buildBaseImage } from './base-image.ts'
import { checkStaticElf } from './static-elf.ts'

test('the base image is a small Unix with every applet', async t => {
  const viewer = await chooseViewer(t)
  const busybox = await findBusybox(t)
  if (viewer === undefined || busybox === undefined) return
  const image = join(await makeFolder(t), 'image')
  const { bytes, config } = await buildBaseImage(busybox, image)
  assert.deepEqual(config.Cmd, ['sh'])
  assert.equal((await readFile(image)).length, bytes)
  await checkImage(image)
  await withImage(image, viewer, async root => {
    const seen = await survey(root, viewer)
    assert.deepEqual(
      ['tmp', 'var/tmp', 'root', 'proc', 'etc/shadow', 'bin/sh'].map(path => modeOf(seen, path)),
      [0o41777, 0o41777, 0o40700, 0o40555, 0o100640, 0o100755],
    )
    assert.equal(seen.get('var/run')?.target, '../run')
    const { stdout } = await promisify(execFile)(busybox, ['--list-full'])
    for (const applet of stdout.split('\n').filter(line => line.includes('/'))) {
      assert.deepEqual(seen.get(applet)?.content, await readFile(busybox), applet)
    }
    assert.match(
      seen.get('etc/passwd')?.content?.toString() ?? '',
      /^root:x:0:0:.*\nwww-data:x:33:33:.*\nnobody:x:65534:65534:/ms,
    )
    if (process.getuid?.() !== 0) return
    const inside = await promisify(execFile)('chroot', [
      root,
      '/bin/sh',
      '-c',
      'id -un; id -gn; awk "BEGIN { print 6 * 7 }"',
    ])
    assert.equal(inside.stdout, 'root\nroot\n42\n')
  })
})

test('the same binary gives the same image', async t => {
  const busybox = await findBusybox(t)
  if (busybox === undefined) return
  const folder = await makeFolder(t)
  await buildBaseImage(busybox, join(folder, 'a'))
  await buildBaseImage(busybox, join(folder, 'b'))
  assert.ok((await readFile(join(folder, 'a'))).equals(await readFile(join(folder, 'b'))))
})

test('a binary that cannot serve is refused with the way to get one', async t => {
  const folder = await makeFolder(t)
  const path = join(folder, 'busybox')
  const refused = (error: unknown): boolean =>
    isCofferError(error, 'config_error') && error.hint?.includes('coffer setup') === true
  const output = join(folder, 'image')
  await assert.rejects(buildBaseImage(path, output), refused, 'missing')
  await writeFile(path, '#!/bin/sh\n', { mode: 0o755 })
  await assert.rejects(buildBaseImage(path, output), refused, 'a script')
  await copyFile(process.execPath, path)
  await assert.rejects(buildBaseImage(path, output), refused, 'dynamic')
  const busybox = await findBusybox(t)
  if (busybox === undefined) return
  await copyFile(busybox, path)
  await chmod(path, 0o644)
  await assert.rejects(buildBaseImage(path, output), refused, 'not executable')
  await assert.rejects(access(output))
})

test('only whole static programs for this machine pass', async t => {
  const busybox = await findBusybox(t)
  if (busybox === undefined) return
  const program = await readFile(busybox)
  checkStaticElf(program)
  const change = (at: number, value: number): Buffer => {
    const copy = Buffer.from(program.subarray(0, 4096))
    copy.writeUInt16LE(value, at)
    return copy
  }
  assert.throws(() => checkStaticElf(change(16, 1)), /not a program/)
  assert.throws(() => checkStaticElf(change(18, 183)), /x86-64/)
  assert.throws(() => checkStaticElf(program.subarray(0, 80)), /cut short/)
  assert.throws(() => checkStaticElf(Buffer.alloc(10)), /ELF/)
})

const modeOf = (seen: ReadonlyMap<string, Seen>, path: string): number | undefined => seen.get(path)?.mode

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-base-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function findBusybox(t: TestContext): Promise<string | undefined> {
  for (const path of ['/usr/bin/busybox', '/bin/busybox']) {
    const content = await readFile(path).catch(() => undefined)
    if (content !== undefined) return path
  }
  t.skip('busybox-static is not installed')
  return undefined
}
