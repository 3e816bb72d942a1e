import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../errors.ts'
import { type CpioEntry, writeCpio } from './cpio.ts'

const entries: CpioEntry[] = [
  { path: 'dev', mode: 0o040755 },
  { path: 'dev/console', mode: 0o020600, device: { major: 5, minor: 1 } },
  { path: 'init', mode: 0o100755, content: Buffer.from('#!agent') },
  { path: 'lib', mode: 0o120777, content: 'usr/lib' },
  { path: 'empty', mode: 0o100644 },
]

test('an archive holds what was written, whatever the sizes', () => {
  const entryArb = fc.record({
    path: fc.stringMatching(/^[a-z]{1,20}(\/[a-zé]{1,20}){0,3}$/),
    mode: fc.integer({ min: 0, max: 0o177777 }),
    content: fc.uint8Array({ maxLength: 50 }),
    device: fc.record(
      { major: fc.integer({ min: 0, max: 4095 }), minor: fc.integer({ min: 0, max: 0xf_ffff }) },
      { noNullPrototype: true },
    ),
  })
  fc.assert(
    fc.property(fc.array(entryArb, { maxLength: 10 }), written => {
      const archive = writeCpio(written)
      assert.equal(archive.length % 4, 0)
      assert.deepEqual(
        parse(archive),
        written.map(({ path, mode, content, device }, index) => ({
          path,
          mode,
          content: Buffer.from(content),
          device,
          inode: index + 1,
        })),
      )
    }),
  )
})

test('cpio reads the archive', () => {
  const { stdout, status } = spawnSync('cpio', ['-itv', '--quiet', '--numeric-uid-gid'], {
    input: writeCpio(entries),
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
  })
  assert.equal(status, 0)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map(line => line.replaceAll(/\s+/g, ' '))
  assert.deepEqual(lines, [
    'drwxr-xr-x 1 0 0 0 Jan 1 1970 dev',
    'crw------- 1 0 0 5, 1 Jan 1 1970 dev/console',
    '-rwxr-xr-x 1 0 0 7 Jan 1 1970 init',
    'lrwxrwxrwx 1 0 0 7 Jan 1 1970 lib -> usr/lib',
    '-rw-r--r-- 1 0 0 0 Jan 1 1970 empty',
  ])
})

test('paths the kernel would unpack elsewhere or not at all are refused', () => {
  for (const path of ['', '/init', 'a//b', 'a/../b', './a', 'a/', 'a\0b', 'TRAILER!!!']) {
    assert.throws(
      () => writeCpio([{ path, mode: 0o100644 }]),
      error => isCofferError(error, 'invalid_argument'),
      JSON.stringify(path),
    )
  }
})

type Parsed = {
  path: string
  mode: number
  content: Buffer
  device: { major: number; minor: number }
  inode: number
}

function parse(archive: Buffer): Parsed[] {
  const members: Parsed[] = []
  for (let at = 0; ; ) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701')
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
    const nameEnd = at + 110 + field(11)
    const path = archive.toString('utf8', at + 110, nameEnd - 1)
    assert.equal(archive[nameEnd - 1], 0)
    const dataStart = Math.ceil(nameEnd / 4) * 4
    const dataEnd = dataStart + field(6)
    if (path === 'TRAILER!!!') {
      assert.equal(dataEnd, archive.length)
      return members
    }
    assert.deepEqual([field(2), field(3), field(5)], [0, 0, 0])
    members.push({
      path,
      mode: field(1),
      content: archive.subarray(dataStart, dataEnd),
      device: { major: field(9), minor: field(10) },
      inode: field(0),
    })
    at = Math.ceil(dataEnd / 4) * 4
  }
}
