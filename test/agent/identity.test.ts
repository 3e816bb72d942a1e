import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Box } from '../../src/index.ts'
import { openTestHome, smallBox, type TestHome } from '../home.ts'

const mib = 1024 * 1024
const toleranceMs = 50

let home: TestHome
let boxes: readonly [Box, Box]
before(async () => {
  home = await openTestHome()
  // Restored one after the other, so that a clock or a random state taken over from the template would show.
  boxes = [await home.runtime.create(smallBox, 'one'), await home.runtime.create(smallBox, 'two')]
  for (const box of boxes) await box.start()
})
after(() => home[Symbol.asyncDispose]())

type Identity = { readonly hostname: string; readonly machineId: string; readonly bootId: string }

async function identityOf(box: Box): Promise<Identity> {
  const { text } = await box.shell('hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id')
  const [hostname = '', machineId = '', bootId = ''] = text.split('\n')
  return { hostname, machineId, bootId }
}

/** How far the box's clock is from the host's, as far as that can be told: the host's is read before and after. */
async function clockErrorMs(box: Box): Promise<number> {
  const before = Date.now()
  const { text } = await box.shell('touch /tmp/now && stat -c %y /tmp/now')
  const after = Date.now()
  const [, date, time, nanoseconds] = /^(\S+) (\d\d:\d\d:\d\d)\.(\d{9})/.exec(text) ?? []
  const inside = Date.parse(`${date}T${time}Z`) + Number(nanoseconds) / 1e6
  return Math.max(0, before - inside, inside - after)
}

test('two boxes of one template have different names and ids of the usual form', async () => {
  const [one, two] = [await identityOf(boxes[0]), await identityOf(boxes[1])]
  for (const { machineId, bootId } of [one, two]) {
    assert.match(machineId, /^[0-9a-f]{32}$/)
    assert.match(bootId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.notEqual(bootId.replaceAll('-', ''), machineId)
  }
  assert.notEqual(one.hostname, two.hostname)
  assert.notEqual(one.machineId, two.machineId)
  assert.notEqual(one.bootId, two.bootId)
})

test('two boxes of one template share no 32 bytes of their first MiB of randomness', async () => {
  const draws = await Promise.all(boxes.map(box => box.run('head', ['-c', String(mib), '/dev/urandom'])))
  const seen = new Set<string>()
  for (const { stdout } of draws) {
    assert.equal(stdout.length, mib)
    for (let at = 0; at < mib; at += 32) seen.add(stdout.toString('latin1', at, at + 32))
  }
  assert.equal(seen.size, (2 * mib) / 32)
  const digests = draws.map(({ stdout }) => createHash('sha256').update(stdout).digest('hex'))
  assert.notEqual(digests[0], digests[1])
})

test('the clock of each box is the host’s', async () => {
  for (const box of boxes) {
    const error = await clockErrorMs(box)
    assert.ok(error <= toleranceMs, `${error} ms`)
  }
})

test('the uptime of a box is short and grows', async () => {
  for (const box of boxes) {
    const read = async (): Promise<number> => Number((await box.shell('cat /proc/uptime')).text.split(' ')[0])
    const [first, second] = [await read(), await read()]
    assert.ok(first > 0 && first < 600 && second >= first, `${first} s, ${second} s`)
  }
})

test('a box that is started again is the same machine, booted anew', async () => {
  const [box] = boxes
  const before = await identityOf(box)
  await box.stop()
  await box.start()
  const now = await identityOf(box)
  assert.equal(now.hostname, before.hostname)
  assert.equal(now.machineId, before.machineId)
  assert.notEqual(now.bootId, before.bootId)
})
