import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Guest, hostTimeNs } from './guest.ts'

const toleranceMs = 50

let guest: Guest
before(async () => {
  guest = await Guest.restore()
})
after(() => guest[Symbol.asyncDispose]())

/** How far the guest's clock is from the host's, as far as that can be told: the host's is read before and after. */
async function errorMs(): Promise<number> {
  const before = Number(hostTimeNs() / 1000n) / 1000
  const inside = parseTime(await guest.shell('touch /tmp/now && stat -c %y /tmp/now'))
  const after = Number(hostTimeNs() / 1000n) / 1000
  if (inside < before) return before - inside
  return Math.max(0, inside - after)
}

function parseTime(text: string): number {
  const match = /^(\S+) (\d\d:\d\d:\d\d)\.(\d{9})/.exec(text)
  assert.ok(match !== null, text)
  return Date.parse(`${match[1]}T${match[2]}Z`) + Number(match[3]) / 1e6
}

async function uptimeMs(): Promise<number> {
  return Number((await guest.shell('cat /proc/uptime')).split(' ')[0]) * 1000
}

test('the clock is the host’s from the first command on', async () => {
  const error = await errorMs()
  assert.ok(error <= toleranceMs, `${error} ms`)
})

test('the uptime of a box begins where its template was ready, and runs as fast as the host’s', async () => {
  const outerStart = performance.now()
  const first = await uptimeMs()
  const innerStart = performance.now()
  await sleep(2_000)
  const inner = performance.now() - innerStart
  const second = await uptimeMs()
  const outer = performance.now() - outerStart
  assert.ok(first > 0 && first < 600_000, `${first} ms`)
  // Each reading is cut to hundredths of a second.
  const elapsed = second - first
  assert.ok(elapsed >= inner - 20 && elapsed <= outer + 20, `${elapsed} ms in ${inner} to ${outer} ms`)
})

test('after a stop of the machine the clock is behind, and right again once it is set', async () => {
  const before = await uptimeMs()
  await guest.stopped(() => sleep(1_500))
  assert.ok((await errorMs()) > 1_000)
  await guest.setClock()
  const error = await errorMs()
  assert.ok(error <= toleranceMs, `${error} ms`)
  // CLOCK_MONOTONIC stood still: timeouts of the guest count its own time.
  const stood = (await uptimeMs()) - before
  assert.ok(stood >= 0 && stood < 1_000, `${stood} ms`)
})
