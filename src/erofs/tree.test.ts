import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { isCofferError } from '../errors.ts'
import { crc32c } from './crc32c.ts'
import { createTree, type LeafNode, link, list, lookup, makeDirectory, put, remove } from './tree.ts'
import { isStorableXattr } from './xattr.ts'

const attributes = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }
const fifo: LeafNode = { ...attributes, kind: 'fifo' }
const refused = (error: unknown): boolean =>
  isCofferError(error, 'invalid_argument') && error.hint !== undefined

test('names that no directory can hold are refused', () => {
  const root = createTree(attributes)
  for (const path of [
    '.',
    '..',
    'a/../b',
    './a',
    'a//b',
    'a/',
    '//',
    'a\0b',
    'n'.repeat(256),
    'é'.repeat(128),
  ]) {
    assert.throws(() => put(root, path, fifo), refused, JSON.stringify(path))
  }
  put(root, 'n'.repeat(255), fifo)
  put(root, '/leading', fifo)
  assert.equal(lookup(root, 'leading'), fifo)
})

test('names are bytes: those that are not UTF-8 stay apart', () => {
  const root = createTree(attributes)
  put(root, Uint8Array.of(0xff), fifo)
  put(root, Uint8Array.of(0xfe), fifo)
  put(root, 'ÿ', fifo)
  assert.deepEqual(list(root), [Buffer.from([0xc3, 0xbf]), Buffer.from([0xfe]), Buffer.from([0xff])])
})

test('a directory made again keeps what it holds, and a leaf put over it does not', () => {
  const root = createTree(attributes)
  makeDirectory(root, 'a', { ...attributes, xattrs: new Map([['user.x', Buffer.from('1')]]) })
  put(root, 'a/b', fifo)
  const again = makeDirectory(root, 'a', { ...attributes, mode: 0o700 })
  assert.equal(again.mode, 0o700)
  assert.equal(again.xattrs, undefined)
  assert.equal(lookup(root, 'a/b'), fifo)
  put(root, 'a', fifo)
  assert.equal(lookup(root, 'a/b'), undefined)
  makeDirectory(root, 'a', attributes)
  assert.equal(lookup(root, 'a/b'), undefined)
  assert.equal(makeDirectory(root, '/', { ...attributes, mode: 0o711 }), root)
  assert.equal(root.mode, 0o711)
})

test('nothing goes through a symbolic link or into a missing directory', () => {
  const root = createTree(attributes)
  makeDirectory(root, 'real', attributes)
  put(root, 'real/file', fifo)
  put(root, 'alias', { ...attributes, kind: 'symlink', target: Buffer.from('real') })
  assert.equal(lookup(root, 'alias/file'), undefined)
  assert.equal(remove(root, 'alias/file'), false)
  assert.throws(() => put(root, 'alias/other', fifo), refused)
  assert.throws(() => put(root, 'missing/other', fifo), refused)
})

test('hard links share one node, and only exist for what is not a directory', () => {
  const root = createTree(attributes)
  makeDirectory(root, 'directory', attributes)
  put(root, 'file', fifo)
  link(root, 'file', 'directory/file')
  assert.equal(lookup(root, 'directory/file'), fifo)
  assert.throws(() => link(root, 'directory', 'other'), refused)
  assert.throws(() => link(root, 'missing', 'other'), refused)
})

test('the root can be neither removed nor replaced', () => {
  const root = createTree(attributes)
  assert.throws(() => remove(root, '/'), refused)
  assert.throws(() => put(root, '/', fifo), refused)
})

test('attributes that the format has no room for are refused', () => {
  const root = createTree(attributes)
  const bad = [
    { mode: 0o10000 },
    { uid: 2 ** 32 },
    { gid: -1 },
    { mtimeSeconds: 0.5 },
    { mtimeNanoseconds: 1_000_000_000 },
    { xattrs: new Map([['user.', Buffer.alloc(0)]]) },
    { xattrs: new Map([['system.nfs4_acl', Buffer.alloc(0)]]) },
    { xattrs: new Map([[`user.${'n'.repeat(251)}`, Buffer.alloc(0)]]) },
    { xattrs: new Map([['user.value', Buffer.alloc(65_536)]]) },
    {
      xattrs: new Map([
        ['user.a', Buffer.alloc(40_000)],
        ['user.b', Buffer.alloc(40_000)],
      ]),
    },
  ]
  for (const wrong of bad) assert.throws(() => put(root, 'file', { ...fifo, ...wrong }), refused)
  assert.throws(() => put(root, 'link', { ...attributes, kind: 'symlink', target: Buffer.alloc(0) }), refused)
  assert.throws(
    () => put(root, 'link', { ...attributes, kind: 'symlink', target: Buffer.alloc(4096, 'x') }),
    refused,
  )
  assert.throws(
    () => put(root, 'device', { ...attributes, kind: 'block_device', major: 4096, minor: 0 }),
    refused,
  )
  assert.deepEqual(list(root), [])
})

test('attributes of all storable namespaces are known', () => {
  for (const name of [
    'user.a',
    'trusted.a',
    'security.capability',
    'system.posix_acl_access',
    'system.posix_acl_default',
  ])
    assert.ok(isStorableXattr(name))
  for (const name of ['user', 'system.posix_acl_access2', 'com.apple.x', 'security.', ''])
    assert.ok(!isStorableXattr(name))
})

test('the checksum is Castagnoli’s', () => {
  // RFC 3720, B.4: 32 bytes of zeros; the kernel leaves out the final inversion.
  assert.equal(~crc32c(new Uint8Array(32)) >>> 0, 0x8a91_36aa)
})
