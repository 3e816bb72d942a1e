import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CofferError } from '../../errors.ts'
import { parseRetryAfter, TransientError } from './failure.ts'
import { defaultRetryPolicy, delayBefore, mayRetry, withRetries } from './retry.ts'

const step = { what: 'do it', host: 'x.io', code: 'image_pull_failed' } as const
const policy = { attempts: 4, baseDelayMs: 1, maxDelayMs: 2, maxRetryAfterMs: 1000 }
const transient = (retryAfterMs?: number) =>
  new TransientError('upstream_unavailable', 'no', { retryAfterMs })

test('what may pass is tried as often as the policy says, anything else once', async () => {
  let tries = 0
  const failing = (error: Error) => () => {
    tries += 1
    throw error
  }
  await assert.rejects(withRetries(policy, step, undefined, failing(transient())), /no/)
  assert.equal(tries, 4)
  for (const error of [new CofferError('not_found', 'no'), new TypeError('no'), transient(1001)]) {
    tries = 0
    await assert.rejects(withRetries(policy, step, undefined, failing(error)), /no/)
    assert.equal(tries, 1)
  }
})

test('waits double, vary by half, have a bound and are never shorter than Retry-After', () => {
  for (const [attempt, full] of [
    [1, 250],
    [2, 500],
    [3, 1000],
    [7, 10_000],
    [1000, 10_000],
  ] as const)
    for (let sample = 0; sample < 100; sample++) {
      const delay = delayBefore(defaultRetryPolicy, attempt, transient())
      assert.ok(delay >= full / 2 && delay <= full, `${delay} ms before try ${attempt + 1}`)
    }
  assert.equal(delayBefore(defaultRetryPolicy, 1, transient(42_000)), 42_000)
  assert.equal(mayRetry(defaultRetryPolicy, 1, transient(60_001)), false)
})

test('Retry-After is seconds or a date; what it is not is ignored', () => {
  const now = Date.parse('2030-01-01T00:00:00Z')
  assert.equal(parseRetryAfter('3', now), 3000)
  assert.equal(parseRetryAfter('Tue, 01 Jan 2030 00:00:05 GMT', now), 5000)
  assert.equal(parseRetryAfter('Tue, 01 Jan 2000 00:00:05 GMT', now), 0)
  assert.ok(Number(parseRetryAfter('9'.repeat(50), now)) > defaultRetryPolicy.maxRetryAfterMs)
  for (const value of [undefined, '', 'soon']) assert.equal(parseRetryAfter(value, now), undefined)
})
