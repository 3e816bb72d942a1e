import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../../errors.ts'
import { defaultLayerLimits, type LayerLimits } from '../layer/limits.ts'
import { inChunks, type TarItem, tarArchive } from '../layer/tar-fixture.ts'
import { type TarMember, writeTar } from '../save/tar-writer.ts'
import { diffMembers } from './diff-members.ts'

async function membersOf(archive: Buffer, limits: Partial<LayerLimits> = {}): Promise<TarMember[]> {
  const members: TarMember[] = []
  for await (const member of diffMembers(inChunks(archive, 1000), { ...defaultLayerLimits, ...limits }))
    members.push(member)
  return members
}

const pathsOf = async (items: readonly TarItem[]): Promise<string[]> =>
  (await membersOf(tarArchive(items))).map(({ path }) => path)

test('names are given out clean, and lead out of nowhere', async () => {
  assert.deepEqual(
    await pathsOf([
      { path: './', flag: '5' },
      { path: '/etc/passwd' },
      { path: '../../up' },
      { path: 'a/./b//c/', flag: '5' },
      { path: 'd/../e' },
    ]),
    ['./', 'etc/passwd', 'up', 'a/b/c/', 'e'],
  )
  const [link] = await membersOf(tarArchive([{ path: 'l', flag: '1', linkPath: '/../../etc/shadow' }]))
  assert.equal(link?.linkPath, 'etc/shadow')
})

test('removals become empty files of nobody, whatever they were', async () => {
  const members = await membersOf(
    tarArchive([
      { path: 'd/.wh.gone', content: 'payload', mode: 0o4755, uid: 7, pax: { 'SCHILY.xattr.user.x': 'y' } },
      { path: 'd/.wh..wh..opq', flag: '5' },
      { path: 'd/.wh..wh.plnk' },
    ]),
  )
  assert.deepEqual(
    members.map(({ path, kind, size, mode, uid, xattrs }) => [path, kind, size, mode, uid, xattrs]),
    [
      ['d/.wh.gone', 'file', 0, 0, 0, undefined],
      ['d/.wh..wh..opq', 'file', 0, 0, 0, undefined],
    ],
  )
})

test('sockets, and notes of overlayfs and SELinux, are left out', async () => {
  const [file, ...others] = await membersOf(
    tarArchive([
      { path: 'socket', mode: 0o140644 },
      {
        path: 'file',
        pax: {
          'SCHILY.xattr.trusted.overlay.opaque': 'y',
          'SCHILY.xattr.security.selinux': 'label',
          'SCHILY.xattr.user.kept': 'x',
          'SCHILY.xattr.nonsense': 'x',
        },
      },
    ]),
  )
  assert.deepEqual([...(file?.xattrs?.keys() ?? [])], ['user.kept'])
  assert.deepEqual(others, [])
})

test('what no file system could hold is refused', async () => {
  const hostile: readonly TarItem[] = [
    { path: 'x'.repeat(100), pax: { path: 'x'.repeat(5000) } },
    { path: 'f', pax: { path: 'n'.repeat(256) } },
    { path: 'f', pax: { uid: '4294967296' } },
    { path: 'c', flag: '3', major: 4096 },
    { path: 'l', flag: '2', linkPath: '' },
    { path: '.', flag: '2', linkPath: '/etc' },
    { path: 'h', flag: '1', linkPath: '..' },
    { path: '.wh.' },
    { path: 'a/.wh.b/c' },
    { path: 'f', pax: { 'SCHILY.xattr.user.x': 'x'.repeat(70_000) } },
  ]
  for (const item of hostile)
    await assert.rejects(
      membersOf(tarArchive([item])),
      error => isCofferError(error, 'invalid_argument'),
      JSON.stringify(item).slice(0, 100),
    )
})

test('entries, names and content are bounded', async () => {
  const refused = (error: unknown): boolean => isCofferError(error, 'resource_exhausted')
  const files = tarArchive(
    Array.from({ length: 20 }, (_, index) => ({ path: `file-${index}`, content: 'x'.repeat(100) })),
  )
  await assert.rejects(membersOf(files, { maxEntries: 19 }), refused)
  await assert.rejects(membersOf(files, { maxMetadataBytes: 100 }), refused)
  await assert.rejects(membersOf(files, { maxBytes: 1999 }), refused)
  const ignored = tarArchive(Array.from({ length: 20 }, () => ({ path: '.wh..wh.aufs' })))
  await assert.rejects(membersOf(ignored, { maxEntries: 19 }), refused)
  const endless = Buffer.concat([tarArchive([{ path: 'f' }]), Buffer.alloc(100_000)])
  await assert.rejects(membersOf(endless, { maxBytes: 50_000 }), refused)
  const sparse = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': String(2 ** 45) }
  await assert.rejects(
    membersOf(tarArchive([{ path: 'f', content: '0\n'.padEnd(512, '\0'), pax: sparse }])),
    refused,
  )
})

test('whatever bytes the guest sends, the result is a layer or an error of ours', async () => {
  const good = tarArchive([
    { path: './', flag: '5' },
    { path: 'etc/', flag: '5' },
    { path: 'etc/file', content: 'content', pax: { 'SCHILY.xattr.user.x': 'y', mtime: '1.5' } },
    { path: 'etc/link', flag: '2', linkPath: 'file' },
    { path: 'etc/hard', flag: '1', linkPath: 'etc/file' },
    { path: 'dev', flag: '3', major: 1, minor: 3 },
    { path: 'etc/.wh.gone' },
  ])
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255))
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 6 }), fc.nat(good.length), async (changes, length) => {
      const bytes = Buffer.from(good.subarray(0, length))
      for (const [at, value] of changes) if (at < length) bytes[at] = value
      try {
        for await (const piece of writeTar(diffMembers(inChunks(bytes, 700), defaultLayerLimits)))
          assert.ok(piece.length > 0)
      } catch (error) {
        assert.ok(isCofferError(error) && error.code !== 'internal', `${error}`)
      }
    }),
    { numRuns: Number(process.env['COFFER_FUZZ_RUNS'] ?? 500) },
  )
})
