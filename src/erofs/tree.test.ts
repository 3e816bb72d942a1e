import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { isCofferError } from '../errors.ts'
import { crc32c } from './crc32c.ts'
import type { LeafNode } from './node.ts'
import { createTree, link, list, lookup, makeDirectory, put, remove } from './tree.ts'
import { isStorableXattr } from './xattr.ts'

const attributes = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }
const fifo: LeafNode = { ...attributes, kind: 'fifo' }
const refused = (error: unknown): boolean =>
  isCofferError(error, 'invalid_argument') && error.hint !== undefined

test('names that no directory can hold are refused', () => {
  const tree = createTree(attributes)
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
    assert.throws(() => put(tree, path, fifo), refused, JSON.stringify(path))
  }
  put(tree, 'n'.repeat(255), fifo)
  put(tree, '/leading', fifo)
  assert.equal(tree.inodes.kind(lookup(tree, 'leading')), 'fifo')
})

test('names are bytes: those that are not UTF-8 stay apart', () => {
  const tree = createTree(attributes)
  put(tree, Uint8Array.of(0xff), fifo)
  put(tree, Uint8Array.of(0xfe), fifo)
  put(tree, 'ÿ', fifo)
  assert.deepEqual(list(tree, tree.root), [
    Buffer.from([0xc3, 0xbf]),
    Buffer.from([0xfe]),
    Buffer.from([0xff]),
  ])
})

test('a directory made again keeps what it holds, and a leaf put over it does not', () => {
  const tree = createTree(attributes)
  const { inodes } = tree
  const made = makeDirectory(tree, 'a', {
    ...attributes,
    xattrs: new Map([['user.x', Buffer.from('1')]]),
  })
  assert.ok(inodes.xattrBytes(made) > 0)
  put(tree, 'a/b', fifo)
  const held = lookup(tree, 'a/b')
  assert.equal(makeDirectory(tree, 'a', { ...attributes, mode: 0o700 }), made)
  assert.equal(inodes.mode(made), 0o700)
  assert.equal(inodes.xattrBytes(made), 0)
  assert.equal(lookup(tree, 'a/b'), held)
  put(tree, 'a', fifo)
  assert.equal(lookup(tree, 'a/b'), 0)
  makeDirectory(tree, 'a', attributes)
  assert.equal(lookup(tree, 'a/b'), 0)
  assert.equal(makeDirectory(tree, '/', { ...attributes, mode: 0o711 }), tree.root)
  assert.equal(inodes.mode(tree.root), 0o711)
})

test('names put, taken out and put again at random are those that a map would hold', () => {
  const tree = createTree(attributes)
  const expected = new Map<string, number>()
  let seed = 1
  // Enough for the table of names to grow several times, and for the same names to come and go.
  for (let step = 0; step < 30_000; step++) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    const name = `${(seed >>> 8) % 7000}`
    if (seed % 3 === 0) {
      assert.equal(remove(tree, name), expected.delete(name))
    } else {
      put(tree, name, fifo)
      expected.set(name, lookup(tree, name))
    }
  }
  assert.deepEqual(
    list(tree, tree.root).map(name => name.toString()),
    [...expected.keys()].sort(),
  )
  for (const [name, node] of expected) assert.equal(lookup(tree, name), node)
})

test('nothing goes through a symbolic link or into a missing directory', () => {
  const tree = createTree(attributes)
  makeDirectory(tree, 'real', attributes)
  put(tree, 'real/file', fifo)
  put(tree, 'alias', { ...attributes, kind: 'symlink', target: Buffer.from('real') })
  assert.equal(lookup(tree, 'alias/file'), 0)
  assert.equal(remove(tree, 'alias/file'), false)
  assert.throws(() => put(tree, 'alias/other', fifo), refused)
  assert.throws(() => put(tree, 'missing/other', fifo), refused)
})

test('hard links share one inode, and only exist for what is not a directory', () => {
  const tree = createTree(attributes)
  makeDirectory(tree, 'directory', attributes)
  put(tree, 'file', fifo)
  link(tree, 'file', 'directory/file')
  assert.equal(lookup(tree, 'directory/file'), lookup(tree, 'file'))
  assert.notEqual(lookup(tree, 'file'), 0)
  assert.throws(() => link(tree, 'directory', 'other'), refused)
  assert.throws(() => link(tree, 'missing', 'other'), refused)
})

test('the root can be neither removed nor replaced', () => {
  const tree = createTree(attributes)
  assert.throws(() => remove(tree, '/'), refused)
  assert.throws(() => put(tree, '/', fifo), refused)
})

test('attributes that the format has no room for are refused', () => {
  const tree = createTree(attributes)
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
  for (const wrong of bad) assert.throws(() => put(tree, 'file', { ...fifo, ...wrong }), refused)
  assert.throws(() => put(tree, 'link', { ...attributes, kind: 'symlink', target: Buffer.alloc(0) }), refused)
  assert.throws(
    () => put(tree, 'link', { ...attributes, kind: 'symlink', target: Buffer.alloc(4096, 'x') }),
    refused,
  )
  assert.throws(
    () => put(tree, 'device', { ...attributes, kind: 'block_device', major: 4096, minor: 0 }),
    refused,
  )
  assert.deepEqual(list(tree, tree.root), [])
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
