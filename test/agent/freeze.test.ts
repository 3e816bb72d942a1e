import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseThawed } from '../../src/guest/parse.ts'
import { eventually, Guest } from './guest.ts'

let guest: Guest
beforeEach(async () => {
  guest = await Guest.restore()
})
afterEach(() => guest[Symbol.asyncDispose]())

async function thaw(): Promise<boolean> {
  return parseThawed(await guest.request('thaw')).held
}

/** A process that writes to the disk and to its output without end. */
function writer(): { written(): number } {
  const execution = guest.execute({
    argv: ['sh', '-c', 'while :; do echo tick >> /ticks; cat /ticks > /copy; echo tick; done'],
  })
  let bytes = 0
  execution.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  return { written: () => bytes }
}

async function progresses(of: { written(): number }): Promise<void> {
  const before = of.written()
  await eventually('the writer goes on', () => of.written() > before)
}

async function diffDigest(): Promise<string> {
  const { exited, stdout, stderr } = await guest.collect({ builtin: 'diff' })
  assert.equal(exited.code, 0, stderr)
  return createHash('sha256').update(stdout).digest('hex')
}

test('a frozen box stands still, its changes can be read, and it goes on after the thaw', async () => {
  const busy = writer()
  await progresses(busy)
  await guest.request('freeze')
  const first = await diffDigest()
  const standing = busy.written()
  assert.equal(await diffDigest(), first)
  assert.equal(busy.written(), standing)
  assert.equal(await thaw(), true)
  await progresses(busy)
  assert.notEqual(await diffDigest(), first)
})

test('to freeze twice is to freeze once, and so with the thaw', async () => {
  await guest.request('freeze')
  await guest.request('freeze')
  assert.equal(await thaw(), true)
  assert.equal(await thaw(), false)
  assert.equal(await guest.shell('echo alive > /file; cat /file'), 'alive\n')
})

test('a command that is started while the box is frozen runs after the thaw', async () => {
  await guest.request('freeze')
  const output = guest.shell('echo late > /file; cat /file')
  // Both are answered before the command can be.
  await guest.request('ping')
  assert.equal(await thaw(), true)
  assert.equal(await output, 'late\n')
})

test('a box that nobody thaws goes on by itself, and the late thaw says that it did', async () => {
  const busy = writer()
  await progresses(busy)
  await guest.request('freeze', { timeoutMs: 200 })
  await progresses(busy)
  assert.equal(await thaw(), false)
})

test('time in which the machine is stopped does not count against the freeze', async () => {
  await guest.request('freeze', { timeoutMs: 1_500 })
  await guest.stopped(() => sleep(2_500))
  assert.equal(await thaw(), true)
})

test('a thaw that overtakes the freeze leaves a box that runs, whoever wins', async () => {
  const busy = writer()
  for (let round = 0; round < 20; round++) {
    await progresses(busy)
    const frozen = guest.request('freeze').then(
      () => true,
      () => false,
    )
    const held = await thaw()
    assert.equal(await frozen, held)
  }
  await progresses(busy)
})

test('a frozen box can be shut down, and its disk is clean', async () => {
  const busy = writer()
  await progresses(busy)
  await guest.request('freeze')
  assert.deepEqual({ ...(await guest.request('shutdown', { graceMs: 2_000 })) }, { clean: true })
})
