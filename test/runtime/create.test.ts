import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isCofferError, Runtime } from '../../src/index.ts'
import { openTestHome, smallBox } from '../home.ts'
import { scratchDirectory } from '../scratch.ts'

test('create writes a record and starts nothing', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({ ...smallBox, labels: { tier: 'web' } }, 'web')
  const info = await box.info()
  assert.equal(info.status, 'configured')
  assert.equal(info.name, 'web')
  assert.equal(info.pid, undefined)
  assert.deepEqual(info.labels, { tier: 'web' })
  assert.deepEqual(readdirSync(join(home.path, 'boxes')), [])
})

test('a record is found by id and name from any runtime of the home, also after all were closed', async () => {
  await using home = await openTestHome()
  const { id } = await home.runtime.create(smallBox, 'kept')
  await using other = await home.open()
  assert.equal((await other.get('kept')).id, id)
  assert.equal((await other.get(id)).name, 'kept')
  await home.runtime.shutdown()
  await home.runtime.shutdown()
  assert.equal((await home.runtime.list())[0]?.id, id)
  await assert.rejects(home.runtime.create(smallBox), error => isCofferError(error, 'stopped'))
  assert.equal((await other.list())[0]?.id, id)
})

test('of two creations of one name, one wins', async () => {
  await using home = await openTestHome()
  await using other = await home.open()
  const results = await Promise.allSettled([
    home.runtime.create(smallBox, 'one'),
    other.create(smallBox, 'one'),
  ])
  assert.deepEqual(results.map(result => result.status).sort(), ['fulfilled', 'rejected'])
  const lost = results.find(result => result.status === 'rejected')
  assert.ok(isCofferError(lost?.reason, 'already_exists'))
  const { created } = await other.getOrCreate(smallBox, 'one')
  assert.equal(created, false)
})

test('what cannot be is refused with a hint before a record is made', async () => {
  await using home = await openTestHome()
  const cases: readonly (readonly [object, string | undefined, string])[] = [
    [{ memoryMib: 63 }, undefined, 'invalid_argument'],
    [{ memoryMib: Math.ceil(totalmem() / 1024 ** 2) + 1 }, undefined, 'invalid_argument'],
    [{ memoryMib: '512' }, undefined, 'invalid_argument'],
    [{ cpus: 0 }, undefined, 'invalid_argument'],
    [{ cpus: 4096 }, undefined, 'invalid_argument'],
    [{ diskMib: 1 }, undefined, 'invalid_argument'],
    [{ image: 'No-Such-Image' }, undefined, 'invalid_argument'],
    [{ image: '' }, undefined, 'invalid_argument'],
    [{ workdir: 'relative' }, undefined, 'invalid_argument'],
    [{ user: 'a b' }, undefined, 'invalid_argument'],
    [{ hostname: '-' }, undefined, 'invalid_argument'],
    [{ misspelt: true }, undefined, 'invalid_argument'],
    [{ labels: { a: 1 } }, undefined, 'invalid_argument'],
    [{}, '', 'invalid_argument'],
    [{}, '../up', 'invalid_argument'],
    [{}, '-dash', 'invalid_argument'],
    [{}, 'x'.repeat(129), 'invalid_argument'],
    [{}, 'sp ace', 'invalid_argument'],
  ]
  for (const [options, name, code] of cases)
    await assert.rejects(
      home.runtime.create(options, name),
      error => isCofferError(error) && error.code === code,
      JSON.stringify([options, name]),
    )
  assert.deepEqual(await home.runtime.list(), [])
})

test('an unknown box is not_found; removing is refused while it runs and leaves nothing behind', async () => {
  await using home = await openTestHome()
  await assert.rejects(home.runtime.get('nobody'), error => isCofferError(error, 'not_found'))
  await assert.rejects(home.runtime.remove('nobody'), error => isCofferError(error, 'not_found'))
  const box = await home.runtime.create(smallBox, 'busy')
  await box.start()
  await box.start()
  await assert.rejects(
    home.runtime.remove('busy'),
    error => isCofferError(error, 'invalid_state') && /rm -f/.test(error.hint ?? ''),
  )
  const { directory } = await box.info()
  await home.runtime.remove('busy', { force: true })
  assert.ok(!existsSync(directory))
  assert.deepEqual(readdirSync(join(home.path, 'boxes')), [])
  await assert.rejects(box.run('true'), error => isCofferError(error, 'not_found'))
})

test('concurrent first uses share one start', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create(smallBox)
  await using other = await home.open()
  const same = await other.get(box.id)
  const outputs = await Promise.all([box.run('hostname'), box.run('hostname'), same.run('hostname')])
  assert.equal(new Set(outputs.map(output => output.text)).size, 1)
  assert.equal((await box.info()).pid, (await same.info()).pid)
})

test('leaving the scope stops a box and removes an ephemeral one', async () => {
  await using home = await openTestHome()
  let id: string
  {
    await using box = await home.runtime.create({ ...smallBox, ephemeral: true })
    await box.run('true')
    id = box.id
  }
  await assert.rejects(home.runtime.get(id), error => isCofferError(error, 'not_found'))
  {
    await using box = await home.runtime.create(smallBox, 'stays')
    await box.run('true')
  }
  assert.equal((await (await home.runtime.get('stays')).info()).status, 'stopped')
})

test('an ephemeral box that ended with nobody there is gone when the home is opened next', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({ ...smallBox, ephemeral: true, detach: true, command: ['true'] })
  await box.start()
  await box.wait()
  await box.info().catch(() => {})
  await using other = await home.open()
  await assert.rejects(other.get(box.id), error => isCofferError(error, 'not_found'))
})

test('asking a stopped box does not start it', async () => {
  await using home = await openTestHome()
  const box = await home.runtime.create({ ...smallBox, command: ['true'] })
  await box.start()
  await box.wait()
  await assert.rejects(box.executions.list(), error => isCofferError(error, 'invalid_state'))
  await assert.rejects(box.top(), error => isCofferError(error, 'invalid_state'))
  assert.equal((await box.info()).status, 'stopped')
})

test('a home on a path of 200 characters works', async () => {
  const base = mkdtempSync(join(tmpdir(), 'coffer-long-'))
  try {
    await using home = await openTestHome()
    const long = join(base, 'x'.repeat(200 - base.length - 1))
    const { symlinkSync, mkdirSync, readlinkSync } = await import('node:fs')
    mkdirSync(long)
    for (const name of ['templates', 'images', 'disks'])
      symlinkSync(readlinkSync(join(home.path, name)), join(long, name))
    await using runtime = await Runtime.open({ home: long })
    await using box = await runtime.create({ ...smallBox, ephemeral: true })
    assert.equal((await box.run('echo', ['far away'])).text, 'far away\n')
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
})

test('a missing or foreign QEMU is a config_error with a hint, and the box starts once it is there', async () => {
  await using home = await openTestHome()
  using scratch = scratchDirectory('qemu')
  const box = await home.runtime.create(smallBox)
  const { writeFileSync } = await import('node:fs')
  const old = join(scratch.path, 'qemu-old')
  writeFileSync(old, '#!/bin/sh\necho "QEMU emulator version 7.2.0"\n', { mode: 0o755 })
  try {
    for (const qemu of ['/no/such/qemu', '/bin/false', old]) {
      process.env['COFFER_QEMU'] = qemu
      await assert.rejects(
        box.start(),
        error => isCofferError(error, 'config_error') && error.hint !== undefined,
        qemu,
      )
      assert.equal((await box.info()).status, 'failed')
    }
  } finally {
    delete process.env['COFFER_QEMU']
  }
  assert.equal((await box.run('echo', ['after all'])).text, 'after all\n')
})

test('a kernel that is missing or cannot be read is named', async () => {
  await using home = await openTestHome()
  using scratch = scratchDirectory('build')
  copyFileSync(join(import.meta.dirname, '../../build/busybox'), join(scratch.path, 'busybox'))
  const box = await home.runtime.create(smallBox)
  try {
    process.env['COFFER_BUILD_DIR'] = scratch.path
    await assert.rejects(
      box.start(),
      error => isCofferError(error, 'config_error') && /kernel image missing at/.test(error.message),
    )
  } finally {
    delete process.env['COFFER_BUILD_DIR']
  }
  assert.equal((await box.run('true')).ok, true)
})
