import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { isCofferError } from '../../errors.ts'
import { readAll, readOne, refuses } from './read-fixture.ts'
import { readContent, readTar } from './tar.ts'
import type { TarEntry } from './tar-entry.ts'
import { inChunks, paxRecord, tarArchive, tarItem } from './tar-fixture.ts'

test('every kind of entry of a ustar archive comes with its attributes', async () => {
  const archive = tarArchive([
    { path: 'd/', flag: '5', mode: 0o1755, uid: 7, gid: 8, mtime: 9 },
    { path: 'd/f', mode: 0o4644, content: 'hello' },
    { path: 'd/old', flag: '\0', content: 'v7' },
    { path: 'd/contiguous', flag: '7', content: 'x' },
    { path: 'l', flag: '2', linkPath: '../x' },
    { path: 'h', flag: '1', linkPath: 'd/f' },
    { path: 'c', flag: '3', major: 1, minor: 3 },
    { path: 'b', flag: '4', major: 8, minor: 0 },
    { path: 'p', flag: '6' },
    { path: 's', mode: 0o140755 },
  ])
  const entries = await readAll(archive)
  assert.deepEqual(
    entries.map(({ kind, path, linkPath, content }) => [kind, path, linkPath, content]),
    [
      ['directory', 'd/', '', ''],
      ['file', 'd/f', '', 'hello'],
      ['file', 'd/old', '', 'v7'],
      ['file', 'd/contiguous', '', 'x'],
      ['symlink', 'l', '../x', ''],
      ['hardlink', 'h', 'd/f', ''],
      ['character_device', 'c', '', ''],
      ['block_device', 'b', '', ''],
      ['fifo', 'p', '', ''],
      ['socket', 's', '', ''],
    ],
  )
  const [directory, file] = entries
  assert.deepEqual(
    [directory?.mode, directory?.uid, directory?.gid, directory?.mtimeSeconds, file?.mode, file?.size],
    [0o1755, 7, 8, 9, 0o4644, 5],
  )
  assert.deepEqual([entries[6]?.major, entries[6]?.minor, entries[7]?.major], [1, 3, 8])
})

test('an archive reads the same in chunks of any size', async () => {
  const archive = tarArchive([
    { path: 'a', content: 'x'.repeat(1300) },
    { path: 'b', content: 'y'.repeat(512), pax: { path: 'long'.repeat(300) } },
    { path: 'c', content: '' },
  ])
  const whole = await readAll(archive)
  assert.equal(whole[1]?.path, 'long'.repeat(300))
  for (const chunk of [1, 7, 511, 512, 513, 1024]) assert.deepEqual(await readAll(archive, chunk), whole)
})

test('a ustar prefix goes before the name, and GNU has other fields there', async () => {
  assert.equal((await readOne({ path: 'name', prefix: 'some/where' })).path, 'some/where/name')
  assert.equal((await readOne({ path: 'name', prefix: '01234567', magic: 'gnu' })).path, 'name')
  const star = (header: Buffer): void => void header.write('tar\0', 508, 'latin1')
  const long = { path: 'name', prefix: 'p'.repeat(131), patch: star }
  assert.equal((await readOne(long)).path, `${'p'.repeat(131)}/name`)
})

test('the oldest dialect has directories by their slash, and no devices', async () => {
  const entry = await readOne({ path: 'd/', flag: '\0', magic: 'v7' })
  assert.equal(entry.kind, 'directory')
  const patch = (header: Buffer): void => void header.write('garbage!garbage!', 329, 'latin1')
  assert.equal((await readOne({ path: 'f', magic: 'v7', patch })).major, 0)
})

test('sums of signed characters are as good as unsigned ones', async () => {
  const header = tarItem({ path: Buffer.from('na\xefve', 'latin1') }).subarray(0, 512)
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + ((byte << 24) >> 24), 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  const [entry] = await readAll(Buffer.concat([header, Buffer.alloc(1024)]))
  assert.equal(entry?.path, 'na\xefve')
  header.write('0000001\0', 148, 'latin1')
  await refuses(header, /checksum/)
})

test('numbers beyond octal digits are read, and those beyond all bounds refused', async () => {
  const entry = await readOne({ path: 'f', uid: 0xffff_fffe, gid: 3_000_000, mtime: -5 })
  assert.deepEqual([entry.uid, entry.gid, entry.mtimeSeconds], [0xffff_fffe, 3_000_000, -5])
  await refuses(tarArchive([{ path: 'f', size: Buffer.alloc(12, 0xff) }]), /negative size -1/)
  await refuses(tarArchive([{ path: 'f', size: Buffer.alloc(12, 0x80).fill(0xff, 4) }]), /beyond all bounds/)
  await refuses(tarArchive([{ path: 'f', size: Buffer.from('9999999999\0\0') }]), /not a number/)
  await refuses(tarArchive([{ path: 'f', size: Buffer.from('-0000000001\0') }]), /not a number/)
})

test('an archive ends with a block of zeros or between two entries, and nowhere else', async () => {
  const item = tarItem({ path: 'f', content: 'hello' })
  const ends = [
    item,
    Buffer.concat([item, Buffer.alloc(512)]),
    Buffer.concat([item, Buffer.alloc(1024), Buffer.from('rubbish')]),
  ]
  for (const archive of ends) assert.equal((await readAll(archive)).length, 1)
  // Without the padding: umoci leaves it out.
  for (const length of [517, 1023]) assert.equal((await readAll(item.subarray(0, length))).length, 1)
  assert.deepEqual(await readAll(Buffer.alloc(0)), [])
  assert.deepEqual(await readAll(Buffer.alloc(1024)), [])
  for (const length of [1, 511, 513, 516])
    await assert.rejects(
      readAll(item.subarray(0, length)),
      error => isCofferError(error, 'invalid_argument') && error.details['reason'] === 'truncated',
    )
  const extension = tarItem({ path: 'x', flag: 'x', content: paxRecord('path', 'f') })
  await refuses(extension, /ends at byte 1024/)
  await refuses(tarItem({ path: 'f', size: 4 * 2 ** 30 - 1, content: 'short' }), /ends at byte/)
})

test('the source is read to its end, whatever stands behind the archive', async () => {
  let read = 0
  async function* source(): AsyncGenerator<Uint8Array> {
    for await (const chunk of inChunks(
      Buffer.concat([tarArchive([{ path: 'f' }]), Buffer.alloc(100_000, 1)]),
      1000,
    )) {
      read += chunk.length
      yield chunk
    }
  }
  for await (const _ of readTar(source())) assert.ok(read > 0)
  assert.equal(read, 101_536)
})

test('leaving the loop closes the source', async () => {
  let closed = false
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* inChunks(tarArchive([{ path: 'f' }, { path: 'g' }]), 512)
    } finally {
      closed = true
    }
  }
  for await (const _ of readTar(source())) break
  assert.ok(closed)
})

test('content that is not read is skipped, and content cannot be read too late', async () => {
  const archive = tarArchive([
    { path: 'a', content: 'x'.repeat(2000) },
    { path: 'b', content: 'after' },
  ])
  const entries: TarEntry[] = []
  for await (const entry of readTar(inChunks(archive, 600))) entries.push(entry)
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['a', 'b'],
  )
  const [first] = entries
  assert.ok(first !== undefined)
  await assert.rejects(readContent(first, 5000), error => isCofferError(error, 'invalid_state'))
})

test('what follows links and directories is the next entry, whatever size they claim', async () => {
  const archive = tarArchive([
    { path: 'h', flag: '1', linkPath: 'f', size: 512 },
    { path: 'd', flag: '5', size: 4096 },
    { path: 'f', content: 'x' },
  ])
  assert.deepEqual(
    (await readAll(archive)).map(({ path }) => path),
    ['h', 'd', 'f'],
  )
})

test('a volume label is no entry, and an unknown type is refused', async () => {
  assert.equal((await readAll(tarArchive([{ path: 'label', flag: 'V' }, { path: 'f' }]))).length, 1)
  for (const flag of ['M', 'D', '9', 'é'.slice(0, 1), ' ']) {
    await refuses(tarArchive([{ path: 'f', flag }]), /unknown type/, 'unsupported')
  }
})
