import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { cofferForThisFile } from './coffer.ts'

const coffer = cofferForThisFile()

test('the life of a box: create, start, exec, inspect, logs, stop, rm', async t => {
  await t.test('create prints an id, and the box does not run', async () => {
    const { code, stdout } = await coffer.run(['create', '--name', 'web', '--memory', '256m', '-e', 'A=box'])
    assert.equal(code, 0)
    assert.match(stdout, /^[0-9A-Za-z]{12}\n$/)
    assert.equal((await coffer.run(['ps', '-q'])).stdout, '')
    assert.equal((await coffer.run(['ps', '-aq'])).stdout, stdout)
  })

  await t.test('a name that is taken is refused, with a hint', async () => {
    const { code, stderr } = await coffer.run(['create', '--name', 'web'])
    assert.equal(code, 125)
    assert.match(stderr, /web[\s\S]*hint: /)
  })

  await t.test('a started box outlives the process that started it', async () => {
    assert.deepEqual(pick(await coffer.run(['start', 'web'])), [0, 'web\n'])
    const [box] = JSON.parse((await coffer.run(['ps', '--json'])).stdout)
    assert.deepEqual([box.name, box.status, box.memoryMib], ['web', 'running', 256])
    assert.match((await coffer.run(['ps'])).stdout, /web +busybox +running/)
  })

  await t.test('what one exec leaves the next finds', async () => {
    assert.equal((await coffer.run(['exec', 'web', 'sh', '-c', 'echo $A > /root/file'])).code, 0)
    assert.deepEqual(pick(await coffer.run(['exec', 'web', '--', 'cat', '/root/file'])), [0, 'box\n'])
    assert.equal((await coffer.run(['exec', '-i', 'web', 'cat'], 'input')).stdout, 'input')
    assert.equal((await coffer.run(['exec', 'web', 'no-such-command'])).code, 127)
  })

  await t.test('inspect prints an array, and logs the console', async () => {
    const [box] = JSON.parse((await coffer.run(['inspect', 'web'])).stdout)
    assert.equal(box.name, 'web')
    assert.ok(existsSync(box.directory))
    assert.equal((await coffer.run(['logs', '--console', 'web'])).code, 0)
    const lines = (await coffer.run(['logs', '--console', '-n', '1', 'web'])).stdout.split('\n').length - 1
    assert.ok(lines <= 1)
  })

  await t.test('rm refuses a box that runs, without -f', async () => {
    const { code, stderr } = await coffer.run(['rm', 'web'])
    assert.equal(code, 125)
    assert.match(stderr, /hint: /)
  })

  await t.test('stop keeps the disk, rm removes the box', async () => {
    assert.deepEqual(pick(await coffer.run(['stop', 'web'])), [0, 'web\n'])
    assert.equal(JSON.parse((await coffer.run(['inspect', 'web'])).stdout)[0].status, 'stopped')
    assert.equal((await coffer.run(['exec', 'web', 'cat', '/root/file'])).stdout, 'box\n')
    assert.deepEqual(pick(await coffer.run(['rm', '-f', 'web'])), [0, 'web\n'])
    assert.equal((await coffer.run(['ps', '-aq'])).stdout, '')
  })
})

test('a box that is not there is named, and the others are still dealt with', async () => {
  await coffer.run(['create', '--name', 'one'])
  const { code, stdout, stderr } = await coffer.run(['rm', 'none', 'one'])
  assert.deepEqual([code, stdout], [125, 'one\n'])
  assert.match(stderr, /none/)
})

function pick({ code, stdout }: { readonly code: number | null; readonly stdout: string }) {
  return [code, stdout]
}
