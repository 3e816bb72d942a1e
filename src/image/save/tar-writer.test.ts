import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../../errors.ts'
import { readTar } from '../layer/tar.ts'
import { inChunks } from '../layer/tar-fixture.ts'
import { directoryMember, fileMember } from './blob-member.ts'
import { type TarMember, writeTar } from './tar-writer.ts'

async function archive(members: Iterable<TarMember>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of writeTar(members)) pieces.push(piece)
  return Buffer.concat(pieces)
}

async function readBack(bytes: Buffer): Promise<TarMember[]> {
  const members: TarMember[] = []
  for await (const entry of readTar(inChunks(bytes, 700))) {
    assert.ok(entry.kind !== 'socket')
    const pieces: Uint8Array[] = []
    for await (const piece of entry.content instanceof Uint8Array ? [entry.content] : entry.content)
      pieces.push(Uint8Array.from(piece))
    members.push({ ...entry, kind: entry.kind, content: Buffer.concat(pieces) })
  }
  return members
}

// Bytes but NUL, as a name has them.
const name = fc
  .uint8Array({ min: 1, minLength: 1, maxLength: 300 })
  .map(bytes => Buffer.from(bytes).toString('latin1').replaceAll('/', '_'))
const xattrs = fc
  .array(fc.tuple(fc.stringMatching(/^user\.[a-z=%]{1,20}$/), fc.uint8Array({ maxLength: 100 })))
  .map(pairs =>
    pairs.length === 0 ? undefined : new Map(pairs.map(([key, value]) => [key, Buffer.from(value)])),
  )
const member: fc.Arbitrary<TarMember> = fc
  .record({
    kind: fc.constantFrom(
      'file',
      'directory',
      'symlink',
      'hardlink',
      'fifo',
      'block_device',
      'character_device',
    ),
    path: name,
    linkPath: name,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.oneof(fc.nat(1000), fc.constantFrom(2097151, 2097152, 4294967295)),
    gid: fc.oneof(fc.nat(1000), fc.constantFrom(2097151, 2097152, 4294967295)),
    mtimeSeconds: fc.oneof(
      fc.integer({ min: -1e9, max: 2e9 }),
      fc.constantFrom(0, -1, 8589934591, 8589934592),
    ),
    mtimeNanoseconds: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
    xattrs,
    major: fc.nat(4095),
    minor: fc.nat(1048575),
    content: fc.uint8Array({ maxLength: 2000 }).map(bytes => Buffer.from(bytes)),
  })
  .map(item => ({
    ...item,
    path: item.kind === 'directory' ? `${item.path}/` : item.path,
    linkPath: item.kind === 'symlink' || item.kind === 'hardlink' ? item.linkPath : '',
    size: item.kind === 'file' ? item.content.length : 0,
    content: item.kind === 'file' ? item.content : Buffer.alloc(0),
    major: item.kind.endsWith('device') ? item.major : 0,
    minor: item.kind.endsWith('device') ? item.minor : 0,
  }))

test('whatever members are written, the reader finds them again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(member, { maxLength: 5 }), async members => {
      assert.deepEqual(await readBack(await archive(members)), members)
    }),
  )
})

test('what fits into a ustar header stands there alone, and the archive ends with two blocks of zeros', async () => {
  const bytes = await archive([directoryMember('d/'), fileMember('d/f', Buffer.from('hello'))])
  assert.equal(bytes.length, 512 + 512 + 512 + 1024)
  assert.ok(bytes.subarray(-1024).every(byte => byte === 0))
})

test('a size beyond eight gigabytes is written in an extended header', async () => {
  const size = 9 * 1024 ** 3
  const writer = writeTar([{ ...fileMember('big', Buffer.alloc(0)), size, content: endless() }])
  const { value } = await writer.next()
  await writer.return()
  assert.match(Buffer.from(value ?? []).toString('latin1'), new RegExp(` size=${size}\\n`))
})

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield Buffer.alloc(65536)
}

test('content of another length than announced is refused, and its source closed', async () => {
  for (const size of [4, 6]) {
    let closed = false
    async function* content(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from('hello')
      } finally {
        closed = true
      }
    }
    await assert.rejects(
      archive([{ ...fileMember('f', Buffer.alloc(0)), size, content: content() }]),
      error =>
        isCofferError(error, 'invalid_argument') &&
        /has (more than 4|5 instead of 6) bytes/.test(error.message),
    )
    assert.ok(closed)
  }
})

test('names that no archive can hold are refused', async () => {
  for (const path of ['', 'a\0b'])
    await assert.rejects(archive([fileMember(path, Buffer.alloc(0))]), error =>
      isCofferError(error, 'invalid_argument'),
    )
})
