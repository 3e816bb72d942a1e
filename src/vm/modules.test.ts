import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { isCofferError } from '../errors.ts'
import { findKernel } from './components.ts'
import { resolveModules, wantedModules } from './modules.ts'

test('dependencies come first, each once, under any spelling and compression', async t => {
  const directory = await makeModules(t, {
    'drivers/char/virtio-rng.ko.gz': gzipSync(makeModule('depends=virtio,virtio_ring')),
    'drivers/virtio/virtio.ko.zst': zstdCompressSync(makeModule('depends=')),
    'drivers/virtio/virtio_ring.ko': makeModule('name=virtio_ring', 'depends=virtio'),
  })
  const modules = await resolveModules(directory, ['virtio_ring', 'virtio_rng', 'virtio-rng'])
  assert.deepEqual(
    modules.map(({ name, compressed }) => [name, compressed]),
    [
      ['virtio', 'zst'],
      ['virtio_ring', 'none'],
      ['virtio_rng', 'gz'],
    ],
  )
  assert.deepEqual(Buffer.from(modules[2]?.content ?? []), makeModule('depends=virtio,virtio_ring'))
  assert.equal(modules[2]?.path, join(directory, 'kernel/drivers/char/virtio-rng.ko.gz'))
})

test('modules compressed by xz are read', async t => {
  const { stdout, error } = spawnSync('xz', ['-c'], { input: makeModule('depends=') })
  if (error !== undefined) return t.skip('xz is not installed')
  const directory = await makeModules(t, {
    'fs/erofs.ko.xz': stdout,
    'fs/torn.ko.xz': stdout.subarray(0, stdout.length - 20),
  })
  assert.deepEqual(
    (await resolveModules(directory, ['erofs'])).map(module => Buffer.from(module.content)),
    [makeModule('depends=')],
  )
  await assert.rejects(
    resolveModules(directory, ['torn']),
    error => isCofferError(error, 'config_error') && /torn/.test(error.message),
  )
})

test('soft dependencies are loaded before where they exist, by name or as the algorithm’s portable implementation', async t => {
  const directory = await makeModules(t, {
    'lib/libcrc32c.ko': makeModule('softdep=pre: crc32c post: late', 'depends='),
    'crypto/crc32c_generic.ko': makeModule('depends='),
    'fs/ext4.ko': makeModule(
      'softdep=pre: crypto-crc32c absent',
      'softdep=post: late pre: early',
      'depends=libcrc32c',
    ),
    'fs/early.ko': makeModule('depends='),
    'fs/late.ko': makeModule('depends='),
  })
  const names = (await resolveModules(directory, ['ext4'])).map(module => module.name)
  assert.deepEqual(names, ['crc32c_generic', 'early', 'libcrc32c', 'ext4'])
})

test('what is built in is left out, what is missing is named', async t => {
  const directory = await makeModules(t, { 'fs/erofs.ko': makeModule('depends=libcrc32c,virtio-ring') })
  await writeFile(join(directory, 'modules.builtin'), 'kernel/drivers/virtio/virtio_ring.ko\n')
  await assert.rejects(resolveModules(directory, ['erofs']), error => {
    assert.ok(isCofferError(error, 'config_error'))
    assert.deepEqual(error.details, { module: 'libcrc32c', directory })
    return error.hint !== undefined
  })
  await writeFile(
    join(directory, 'modules.builtin'),
    'kernel/drivers/virtio/virtio_ring.ko\nkernel/lib/libcrc32c.ko\n',
  )
  assert.deepEqual(
    (await resolveModules(directory, ['erofs', 'virtio_ring'])).map(module => module.name),
    ['erofs'],
  )
  await assert.rejects(resolveModules(join(directory, 'nowhere'), ['erofs']), error =>
    isCofferError(error, 'config_error'),
  )
})

test('damaged modules are refused, wherever they are cut', async t => {
  const whole = makeModule('depends=')
  const directory = await makeModules(t, {})
  // The last 24 bytes hold nothing that is read.
  for (let length = 0; length < whole.length - 24; length += 7) {
    await writeFile(join(directory, 'kernel', 'cut.ko'), whole.subarray(0, length))
    await assert.rejects(
      resolveModules(directory, ['cut']),
      error => isCofferError(error, 'config_error'),
      `${length} bytes`,
    )
  }
})

test('the modules of the guest’s kernel come after those they depend on', async () => {
  const modules = await resolveModules(findKernel().modules, wantedModules)
  const names = modules.map(module => module.name)
  for (const [position, { content }] of modules.entries()) {
    const depends = /\0depends=([^\0]*)\0/.exec(Buffer.from(content).toString('latin1'))?.[1] ?? ''
    for (const name of depends.split(',').filter(Boolean)) {
      const at = names.indexOf(name.replaceAll('-', '_'))
      assert.ok(at < position, `${name} before ${names[position]}`)
    }
  }
  if (names.includes('libcrc32c') && names.includes('crc32c_generic')) {
    assert.ok(names.indexOf('crc32c_generic') < names.indexOf('libcrc32c'))
  }
})

async function makeModules(t: TestContext, files: Record<string, Uint8Array>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-modules-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  await mkdir(join(directory, 'kernel'))
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, 'kernel', path)), { recursive: true })
    await writeFile(join(directory, 'kernel', path), content)
  }
  return directory
}

// The least ELF object with a .modinfo section: header, section contents, three section headers.
function makeModule(...lines: string[]): Buffer {
  const info = Buffer.from(lines.map(line => `${line}\0`).join(''))
  const names = Buffer.from('\0.shstrtab\0.modinfo\0')
  const header = Buffer.alloc(64)
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  header.writeBigUInt64LE(BigInt(64 + info.length + names.length), 0x28)
  header.writeUInt16LE(64, 0x3a)
  header.writeUInt16LE(3, 0x3c)
  header.writeUInt16LE(1, 0x3e)
  const section = (name: number, at: number, length: number): Buffer => {
    const entry = Buffer.alloc(64)
    entry.writeUInt32LE(name, 0)
    entry.writeBigUInt64LE(BigInt(at), 0x18)
    entry.writeBigUInt64LE(BigInt(length), 0x20)
    return entry
  }
  const sections = [
    section(0, 0, 0),
    section(1, 64 + info.length, names.length),
    section(11, 64, info.length),
  ]
  return Buffer.concat([header, info, names, ...sections])
}
