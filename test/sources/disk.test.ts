import assert from 'node:assert/strict'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../../src/errors.ts'
import { importDisk } from '../../src/image/sources/import-disk.ts'
import { blockDeviceBytes } from '../../src/vm/machine.ts'
import { scratchDirectory } from '../scratch.ts'
import { run } from './images.ts'
import { type TestStore, testStore } from './store.ts'

const diskBytes = 24 * 1024 * 1024

/** A tree with content that compresses, content that does not, and holes. */
async function makeTree(path: string): Promise<string> {
  mkdirSync(join(path, 'etc'), { recursive: true })
  writeFileSync(join(path, 'etc/motd'), 'from the disk\n')
  writeFileSync(join(path, 'text'), 'all the same '.repeat(100_000))
  await run('sh', '-c', `head -c 3000000 /dev/urandom > ${join(path, 'random')}`)
  return path
}

async function makeExt4(home: TestStore): Promise<string> {
  const path = home.at('ext4.img')
  const tree = await makeTree(home.at('tree'))
  await run('mke2fs', '-q', '-F', '-t', 'ext4', '-d', tree, path, `${diskBytes / 1024}k`)
  return path
}

/** The content of the image's file, as long as the disk it came from. */
async function preparedDisk(home: TestStore, digest: string, bytes: number): Promise<Buffer> {
  const { path } = await home.store.prepare(digest)
  assert.equal(statSync(path).size, blockDeviceBytes)
  const content = Buffer.alloc(bytes)
  const descriptor = openSync(path, 'r')
  assert.equal(readSync(descriptor, content, 0, bytes, 0), bytes)
  closeSync(descriptor)
  return content
}

test('an ext4 disk is the image, byte by byte, and its empty blocks take no place', async () => {
  using home = testStore()
  const disk = await makeExt4(home)
  const { digest } = await importDisk(disk, 'disk:1', home.store, { config: { command: ['sh'] } })
  const original = readFileSync(disk)
  assert.ok((await preparedDisk(home, digest, original.length)).equals(original))
  const { path, command } = await home.store.prepare(digest)
  assert.deepEqual(command, ['sh'])
  assert.ok(statSync(path).blocks * 512 < original.length)
})

test('an EROFS disk is the image, without what lies behind its file system', async () => {
  using home = testStore()
  const tree = await makeTree(home.at('tree'))
  const disk = home.at('erofs.img')
  await run('mkfs.erofs', '-zlz4hc', disk, tree)
  const original = readFileSync(disk)
  truncateSync(disk, 1024 ** 3)
  const { digest } = await importDisk(disk, undefined, home.store)
  assert.ok((await preparedDisk(home, digest, original.length)).equals(original))
})

const formats: Readonly<Record<string, readonly string[]>> = {
  plain: [],
  'version 2': ['-o', 'compat=0.10'],
  'version 2, compressed': ['-c', '-o', 'compat=0.10'],
  zlib: ['-c', '-o', 'compression_type=zlib'],
  zstd: ['-c', '-o', 'compression_type=zstd'],
  'clusters of 512 bytes': ['-o', 'cluster_size=512'],
  'clusters of 2 MiB': ['-o', 'cluster_size=2M'],
  'small clusters, compressed': ['-c', '-o', 'cluster_size=4k,compression_type=zstd'],
  preallocated: ['-o', 'preallocation=full'],
  'lazy counts': ['-o', 'lazy_refcounts=on'],
}

test('a qcow2 disk of any form is the same image as the raw disk', async t => {
  using home = testStore()
  const disk = await makeExt4(home)
  const raw = await importDisk(disk, undefined, home.store, { createdAt: new Date(0) })
  for (const [form, options] of Object.entries(formats))
    await t.test(form, async () => {
      const path = home.at(`${form}.qcow2`)
      await run('qemu-img', 'convert', '-O', 'qcow2', ...options, disk, path)
      const { digest } = await importDisk(path, undefined, home.store, { createdAt: new Date(0) })
      assert.equal(digest, raw.digest)
    })
  await t.test('with an internal snapshot', async () => {
    const path = home.at('snapshot.qcow2')
    await run('qemu-img', 'convert', '-O', 'qcow2', disk, path)
    await run('qemu-img', 'snapshot', '-c', 'before', path)
    await run('qemu-io', '-f', 'qcow2', '-c', `write -z ${diskBytes - 65536} 64k`, path)
    await importDisk(path, undefined, home.store)
  })
})

async function refuses(home: TestStore, path: string, message: RegExp): Promise<void> {
  await assert.rejects(
    importDisk(path, undefined, home.store),
    error =>
      isCofferError(error) &&
      (error.code === 'unsupported' || error.code === 'invalid_argument') &&
      message.test(error.message) &&
      error.hint !== undefined,
  )
}

test('a qcow2 disk that needs another file, a key or a feature nobody knows is refused', async () => {
  using home = testStore()
  const disk = await makeExt4(home)
  const secret = home.at('secret')
  writeFileSync(secret, Buffer.alloc(diskBytes, 'secret'))
  const image = async (name: string, ...options: string[]): Promise<string> => {
    await run('qemu-img', 'create', '-q', '-f', 'qcow2', ...options, home.at(name), String(diskBytes))
    return home.at(name)
  }
  await refuses(home, await image('backing', '-b', secret, '-F', 'raw'), /backing file/)
  await refuses(home, await image('external', '-o', `data_file=${home.at('data')}`), /another file/)
  await refuses(home, await image('subclusters', '-o', 'extended_l2=on'), /subclusters/)
  const patched = async (name: string, patch: (header: Buffer) => void): Promise<string> => {
    await run('qemu-img', 'convert', '-O', 'qcow2', disk, home.at(name))
    const content = readFileSync(home.at(name))
    patch(content)
    writeFileSync(home.at(name), content)
    return home.at(name)
  }
  await refuses(home, await patched('encrypted', header => header.writeUInt32BE(2, 32)), /encrypted/)
  await refuses(home, await patched('corrupt', header => header.writeUInt8(2, 79)), /corrupt/)
  await refuses(home, await patched('unknown', header => header.writeUInt8(1, 72)), /not known/)
  await refuses(home, await patched('version', header => header.writeUInt32BE(4, 4)), /version 4/)
  await refuses(home, await patched('huge', header => header.writeBigUInt64BE(2n ** 50n, 24)), /bytes/)
  await refuses(home, await patched('clusters', header => header.writeUInt32BE(63, 20)), /clusters/)
  await refuses(
    home,
    await patched('outside', header => header.writeBigUInt64BE(2n ** 40n, 40)),
    /out of the file/,
  )
  assert.deepEqual(home.store.content.list(), [])
})

test('a small qcow2 file that names one cluster a million times is refused', async () => {
  using home = testStore()
  const clusterBytes = 65536
  const content = Buffer.alloc(4 * clusterBytes)
  content.write('QFI\xfb', 0, 'latin1')
  content.writeUInt32BE(2, 4)
  content.writeUInt32BE(16, 20)
  const bytes = 2 ** 32
  content.writeBigUInt64BE(BigInt(bytes), 24)
  content.writeUInt32BE(8, 36)
  content.writeBigUInt64BE(BigInt(clusterBytes), 40)
  for (let index = 0; index < 8; index++)
    content.writeBigUInt64BE(BigInt(2 * clusterBytes), clusterBytes + index * 8)
  for (let index = 0; index < clusterBytes / 8; index++)
    content.writeBigUInt64BE(BigInt(3 * clusterBytes), 2 * clusterBytes + index * 8)
  // An ext4 file system that fills the disk.
  content.fill(1, 3 * clusterBytes)
  const superblock = content.subarray(3 * clusterBytes + 1024, 3 * clusterBytes + 4096).fill(0)
  superblock.writeUInt16LE(0xef53, 56)
  superblock.writeUInt32LE(2, 24)
  superblock.writeUInt32LE(bytes / 4096, 4)
  writeFileSync(home.at('bomb'), content)
  await refuses(home, home.at('bomb'), /several times/)
  assert.deepEqual(home.store.content.list(), [])
})

test('what is no file system that boxes mount is refused with the way on', async () => {
  using home = testStore()
  const file = (name: string, patch: (content: Buffer) => void): string => {
    const content = Buffer.alloc(65536)
    patch(content)
    writeFileSync(home.at(name), content)
    return home.at(name)
  }
  const mbr = file('mbr', content => content.writeUInt16LE(0xaa55, 510) && content.writeUInt8(0x83, 450))
  await refuses(home, mbr, /partition table/)
  await refuses(
    home,
    file('gpt', content => content.write('EFI PART', 512)),
    /partition table/,
  )
  await refuses(
    home,
    file('zeros', () => {}),
    /neither EROFS nor ext4/,
  )
  await refuses(
    home,
    file('short', content => content.writeUInt32LE(0xe0f5e1e2, 1024)),
    /EROFS|blocks/,
  )
  writeFileSync(home.at('empty'), '')
  await refuses(home, home.at('empty'), /neither EROFS nor ext4/)
  await run('qemu-img', 'create', '-q', '-f', 'vmdk', home.at('vmdk'), '1M')
  await refuses(home, home.at('vmdk'), /VMDK/)
  await refuses(home, home.path, /no regular file/)
  await run('mkfifo', home.at('pipe'))
  await refuses(home, home.at('pipe'), /no regular file/)
  const disk = await makeExt4(home)
  const cut = home.at('cut')
  writeFileSync(cut, readFileSync(disk).subarray(0, diskBytes / 2))
  await refuses(home, cut, /file system has/)
  const dirty = readFileSync(disk)
  dirty.writeUInt32LE(dirty.readUInt32LE(1024 + 96) | 4, 1024 + 96)
  writeFileSync(home.at('dirty'), dirty)
  await refuses(home, home.at('dirty'), /not unmounted/)
  const erofs = home.at('erofs')
  await run('mkfs.erofs', '-Enosbcrc', erofs, home.at('tree')).catch(() =>
    run('mkfs.erofs', erofs, home.at('tree')),
  )
  await run('mkfs.erofs', erofs, home.at('tree'))
  const wrong = readFileSync(erofs)
  wrong.writeUInt8(wrong.readUInt8(1024 + 48) ^ 1, 1024 + 48)
  writeFileSync(home.at('wrong'), wrong)
  await refuses(home, home.at('wrong'), /checksum/)
  await assert.rejects(importDisk(home.at('nothing'), undefined, home.store), error =>
    isCofferError(error, 'not_found'),
  )
  assert.deepEqual(home.store.content.list(), [])
})

let mutated: { readonly file: string; readonly content: Buffer }[] = []
const fuzz = scratchDirectory('qcow2-fuzz')
before(async () => {
  const disk = join(fuzz.path, 'disk')
  await run('mke2fs', '-q', '-F', '-t', 'ext4', disk, '1024k')
  const make = async (name: string, ...options: string[]): Promise<{ file: string; content: Buffer }> => {
    const file = join(fuzz.path, name)
    await run('qemu-img', 'convert', '-O', 'qcow2', ...options, disk, file)
    return { file, content: readFileSync(file) }
  }
  mutated = [
    await make('plain', '-o', 'cluster_size=4k'),
    await make('zlib', '-c', '-o', 'cluster_size=4k'),
    await make('zstd', '-c', '-o', 'cluster_size=64k,compression_type=zstd'),
  ]
})

test('whatever bytes of a qcow2 file are changed, it is imported or refused, and no other file is read', async () => {
  using home = testStore()
  const canary = join(fuzz.path, 'canary')
  writeFileSync(canary, 'canary')
  const accessed = statSync(canary, { bigint: true }).atimeNs
  const change = fc.tuple(
    fc.oneof(fc.nat(120), fc.nat(70_000)),
    fc.oneof(fc.constantFrom(0, 1, 0x40, 0x80, 0xff), fc.nat(255)),
  )
  const changes = fc.array(change, { minLength: 1, maxLength: 8 })
  let imported = 0
  await fc.assert(
    fc.asyncProperty(fc.nat(2), changes, async (which, bytes) => {
      const { content } = mutated[which] ?? { content: Buffer.alloc(0) }
      const path = home.at('mutant')
      writeFileSync(path, content)
      const descriptor = openSync(path, 'r+')
      for (const [at, value] of bytes)
        if (at < content.length) writeSync(descriptor, Buffer.of(value), 0, 1, at)
      closeSync(descriptor)
      await importDisk(path, undefined, home.store).then(
        () => (imported += 1),
        error => assert.ok(isCofferError(error) && error.code !== 'internal', `${error?.stack}`),
      )
    }),
    { numRuns: Number(process.env['COFFER_FUZZ_RUNS'] ?? 200) },
  )
  assert.ok(imported > 0)
  assert.equal(statSync(canary, { bigint: true }).atimeNs, accessed)
  assert.deepEqual(readdirSync(home.path), ['mutant'])
  fuzz[Symbol.dispose]()
})
