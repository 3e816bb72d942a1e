import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { readAll, readOne, refuses } from './read-fixture.ts'
import { paxRecord, tarArchive, tarItem } from './tar-fixture.ts'

test('PAX records go over the header, and an empty one leaves it', async () => {
  const entry = await readOne({
    path: 'short',
    flag: '2',
    linkPath: 'target',
    pax: {
      path: Buffer.from('lang/\xfc', 'latin1'),
      linkpath: '',
      uid: '70000',
      gid: '4000000000',
      mtime: '1700000000.123456789123',
      hdrcharset: 'BINARY',
      comment: 'nothing',
    },
  })
  assert.deepEqual(
    [entry.path, entry.linkPath, entry.uid, entry.gid, entry.mtimeSeconds, entry.mtimeNanoseconds],
    ['lang/\xfc', 'target', 70_000, 4_000_000_000, 1_700_000_000, 123_456_789],
  )
  const times = [
    ['-1.5', -2, 500_000_000],
    ['-7', -7, 0],
    ['3.', 3, 0],
    ['0.000000001', 0, 1],
  ] as const
  for (const [mtime, seconds, nanoseconds] of times) {
    const { mtimeSeconds, mtimeNanoseconds } = await readOne({ path: 'f', pax: { mtime } })
    assert.deepEqual([mtimeSeconds, mtimeNanoseconds], [seconds, nanoseconds], mtime)
  }
})

test('a PAX size goes over the header, as the data does', async () => {
  const entries = await readAll(
    tarArchive([{ path: 'f', content: 'hello', size: 0, pax: { size: '5' } }, { path: 'g' }]),
  )
  assert.deepEqual(
    entries.map(({ path, content }) => [path, content]),
    [
      ['f', 'hello'],
      ['g', ''],
    ],
  )
})

test('extended attributes come from both ways to write them', async () => {
  const { xattrs } = await readOne({
    path: 'f',
    pax: {
      'SCHILY.xattr.user.bytes': Buffer.from([0, 255, 10, 61]),
      'LIBARCHIVE.xattr.user.with%20space': Buffer.from('value').toString('base64'),
      'LIBARCHIVE.xattr.user.bytes': Buffer.from('worse').toString('base64'),
    },
  })
  assert.deepEqual(
    xattrs,
    new Map(
      [
        ['user.with space', Buffer.from('value')],
        ['user.bytes', Buffer.from([0, 255, 10, 61])],
      ].toReversed() as [string, Buffer][],
    ),
  )
})

test('global headers hold for all that follow, of owners and times only', async () => {
  const global = { path: 'g', flag: 'g' }
  const entries = await readAll(
    tarArchive([
      {
        ...global,
        content: Buffer.concat([paxRecord('uid', '5'), paxRecord('path', 'all'), paxRecord('size', '9')]),
      },
      { path: 'a', pax: { uid: '6' } },
      { path: 'b', content: 'x' },
      { ...global, content: paxRecord('uid', '') },
      { path: 'c', uid: 3 },
    ]),
  )
  assert.deepEqual(
    entries.map(({ path, uid, size }) => [path, uid, size]),
    [
      ['a', 6, 0],
      ['b', 5, 1],
      ['c', 3, 0],
    ],
  )
})

test('malformed extended headers are refused', async () => {
  const records = [
    'x a=b\n',
    '6 a=b',
    ' 6 a=b\n',
    '6 =ab\n',
    '99 a=b\n',
    '6 a=bc\n',
    '0 a=b\n',
    '-6 a=b\n',
    '6a=b\n',
  ]
  for (const content of records)
    await refuses(tarArchive([{ path: 'x', flag: 'x', content }, { path: 'f' }]), /malformed record/)
  for (const [keyword, value] of [
    ['size', '-1'],
    ['size', '9223372036854775808'],
    ['size', '0x10'],
    ['uid', '1e3'],
    ['mtime', 'now'],
    ['path', 'a\0b'],
  ] as const)
    await refuses(tarArchive([{ path: 'f', pax: { [keyword]: value } }]), /extended header/)
})

test('GNU long names and links are read, up to a bound', async () => {
  const long = 'n'.repeat(300)
  const items = [
    { path: '././@LongLink', flag: 'K', content: `${long}/target\0` },
    { path: '././@LongLink', flag: 'L', content: `${long}\0` },
    { path: 'n'.repeat(100), flag: '2', linkPath: 'cut', magic: 'gnu' },
    { path: 'next' },
  ] as const
  const [link, next] = await readAll(tarArchive(items))
  assert.deepEqual([link?.path, link?.linkPath, next?.path], [long, `${long}/target`, 'next'])
  await refuses(tarArchive([{ path: 'L', flag: 'L', size: 100_000 }]), /100000 bytes/, 'resource_exhausted')
  await refuses(tarArchive([{ path: 'x', flag: 'x', size: 4 * 2 ** 30 - 1 }]), /bytes/, 'resource_exhausted')
})

test('all ways to write a sparse file give the same file', async () => {
  const data = 'A'.repeat(1000) + 'B'.repeat(24)
  const pieces = [512, 1000, 4096, 24, 10_000, 0]
  const file = Buffer.alloc(10_000)
  file.write('A'.repeat(1000), 512)
  file.write('B'.repeat(24), 4096)
  const expected = file.toString('latin1')

  const records = pieces.map((value, index) =>
    paxRecord(index % 2 ? 'GNU.sparse.numbytes' : 'GNU.sparse.offset', `${value}`),
  )
  const repeated = Buffer.concat([
    paxRecord('GNU.sparse.size', '10000'),
    paxRecord('GNU.sparse.numblocks', '3'),
    ...records,
  ])
  const zero = tarArchive([
    { path: 'x', flag: 'x', content: repeated },
    { path: 'f', content: data },
  ])
  const map = { 'GNU.sparse.size': '10000', 'GNU.sparse.map': pieces.join(','), 'GNU.sparse.name': 'f' }
  const one = tarArchive([{ path: 'GNUSparseFile.1/f', content: data, pax: map }])
  const lines = Buffer.alloc(512)
  lines.write([3, ...pieces, ''].join('\n'))
  const version = {
    'GNU.sparse.major': '1',
    'GNU.sparse.minor': '0',
    'GNU.sparse.name': 'f',
    'GNU.sparse.realsize': '10000',
  }
  const two = tarArchive([
    { path: 'GNUSparseFile.1/f', content: Buffer.concat([lines, Buffer.from(data)]), pax: version },
  ])
  for (const archive of [zero, one, two, oldSparse(data, pieces, 10_000)]) {
    for (const chunk of [100, archive.length]) {
      const [entry] = await readAll(archive, chunk)
      assert.deepEqual([entry?.path, entry?.size], ['f', 10_000])
      assert.ok(entry?.content === expected)
    }
  }
})

test('maps of sparse files that contradict themselves are refused', async () => {
  const sparse = (map: string, size: string, flag = '0'): Buffer =>
    tarArchive([
      { path: 'f', flag, content: 'data', pax: { 'GNU.sparse.size': size, 'GNU.sparse.map': map } },
    ])
  assert.equal((await readAll(sparse('0,4', '4')))[0]?.content, 'data')
  for (const map of ['0,5', '0,3', '2,2,0,2', '0,2,1,2', '1,4', '0,4,9', '', '0', '4,4'])
    await refuses(sparse(map, '4'), /sparse/)
  await refuses(sparse('0,-4', '4'), /no size/)
  await refuses(sparse('0,4', '4', '5'), /sparse/)
  const unending = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' }
  await refuses(tarArchive([{ path: 'f', content: '9'.repeat(2048), pax: unending }]), /sparse|no size/)
  await refuses(tarArchive([{ path: 'f', content: '99\n'.repeat(100), pax: unending }]), /does not end/)
})

/** Type S: four pieces in the header, the rest in blocks behind it. */
function oldSparse(data: string, pieces: readonly number[], size: number): Buffer {
  const octal = (value: number): string => `${value.toString(8).padStart(11, '0')}\0`
  const text = pieces.map(octal).join('')
  const patch = (header: Buffer): void => {
    header.write(text.slice(0, 24), 386, 'latin1')
    // One piece here and two in the extension: four and more are not needed to go that way.
    header[482] = 1
    header.write(octal(size), 483, 'latin1')
  }
  const extension = Buffer.alloc(512)
  extension.write(text.slice(24), 0, 'latin1')
  const [header, content] = [
    tarItem({ path: 'f', flag: 'S', magic: 'gnu', size: data.length, patch }),
    Buffer.from(data),
  ]
  return Buffer.concat([header, extension, tarArchive([{ path: 'ignored', content }]).subarray(512)])
}
