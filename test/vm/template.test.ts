import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isCofferError, Runtime } from '../../src/index.ts'
import { smallBox } from '../home.ts'
import { scratchDirectory } from '../scratch.ts'

test('a template that is torn or foreign is rebuilt, not trusted; two at once are built once', {
  timeout: 240_000,
}, async () => {
  using scratch = scratchDirectory('template')
  await using runtime = await Runtime.open({ home: scratch.path })
  const steps: string[] = []
  const start = async (): Promise<void> => {
    await using box = await runtime.create({ ...smallBox, ephemeral: true })
    await box.start({ onProgress: ({ step }) => steps.push(step) })
    assert.equal((await box.run('echo', ['up'])).text, 'up\n')
  }
  const boots = (): number => steps.filter(step => step === 'booting the template once').length
  await Promise.all([start(), start()])
  assert.equal(boots(), 1)
  const templates = join(scratch.path, 'templates')
  // The other is the image's, made from it.
  const [key = '', ...others] = readdirSync(templates).filter(
    name => !existsSync(join(templates, name, 'disk.qcow2')),
  )
  assert.deepEqual(others, [])
  const template = join(templates, key)
  // 1. Torn.
  truncateSync(join(template, 'device'), 1000)
  await start()
  assert.equal(boots(), 2)
  // 2. Foreign.
  const manifest = JSON.parse(readFileSync(join(template, 'template.json'), 'utf8'))
  writeFileSync(join(template, 'template.json'), JSON.stringify({ ...manifest, key: 'another' }))
  await start()
  assert.equal(boots(), 3)
  // 3. Whole.
  await start()
  assert.equal(boots(), 3)
  assert.deepEqual(
    readdirSync(join(scratch.path, 'tmp')).filter(name => name.includes('template')),
    [],
  )
})

test('without space a start fails with storage_error and leaves nothing half-made', {
  skip: process.getuid?.() !== 0 && 'only root can mount a small file system',
}, async () => {
  using scratch = scratchDirectory('small')
  const home = join(scratch.path, 'home')
  mkdirSync(home)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m,mode=700', 'tmpfs', home])
  try {
    {
      await using runtime = await Runtime.open({ home })
      const box = await runtime.create(smallBox)
      await assert.rejects(
        box.start(),
        error => isCofferError(error, 'storage_error') && error.hint !== undefined,
      )
      assert.equal((await box.info()).status, 'failed')
      assert.deepEqual(readdirSync(join(home, 'templates')), [])
      assert.deepEqual(readdirSync(join(home, 'tmp')), [])
    }
    execFileSync('sh', ['-c', `dd if=/dev/zero of=${home}/filler bs=1M 2>/dev/null; true`])
    await assert.rejects(
      (async () => {
        await using runtime = await Runtime.open({ home })
        await runtime.create(smallBox)
      })(),
      error => isCofferError(error, 'database_error') || isCofferError(error, 'storage_error'),
    )
  } finally {
    execFileSync('umount', [home])
  }
})
