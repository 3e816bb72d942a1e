import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDirectory } from '../../test/scratch.ts'
import { acquireLock, tryLock } from './lock.ts'

test('a lock is held once, also within one process, and free after disposal', () => {
  using scratch = scratchDirectory('lock')
  const path = join(scratch.path, 'lock')
  {
    using first = tryLock(path)
    assert.ok(first)
    assert.equal(tryLock(path), undefined)
  }
  using again = tryLock(path)
  assert.ok(again)
})

test('who waits gets it next, and can give up', async () => {
  using scratch = scratchDirectory('lock')
  const path = join(scratch.path, 'lock')
  const first = await acquireLock(path)
  const controller = new AbortController()
  const givenUp = acquireLock(path, { signal: controller.signal })
  controller.abort()
  await assert.rejects(givenUp)
  const waited = Promise.withResolvers<void>()
  const second = acquireLock(path, { onWait: waited.resolve })
  await waited.promise
  first[Symbol.dispose]()
  using taken = await second
  assert.equal(taken.path, path)
})

test('the lock of a killed process is free', async () => {
  using scratch = scratchDirectory('lock')
  const path = join(scratch.path, 'lock')
  const holder = `import { acquireLock } from '${join(import.meta.dirname, 'lock.ts')}'
    await acquireLock('${path}'); console.log('held'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--no-warnings', '-e', holder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  assert.equal(tryLock(path), undefined)
  child.kill('SIGKILL')
  await once(child, 'exit')
  using taken = tryLock(path)
  assert.ok(taken)
})
