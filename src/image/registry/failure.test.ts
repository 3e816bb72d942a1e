import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkError, TransientError } from './failure.ts'
import { defaultRetryPolicy, delayBefore, mayRetry } from './retry.ts'

const step = { what: 'do it', host: 'x.io', code: 'image_pull_failed' } as const

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code })
}

/** What Node throws when a host has several addresses: its code is that of the first. */
function severalAddresses(...codes: [string, ...string[]]): Error {
  return Object.assign(new AggregateError(codes.map(systemError)), { code: codes[0] })
}

/** Tries in all, and the longest that they wait. */
function triesOf(error: Error, isFirst: boolean): { tries: number; waitMs: number } {
  const failure = networkError(step, 'x.io', error, { isFirst })
  let tries = 1
  let waitMs = 0
  for (; mayRetry(defaultRetryPolicy, tries, failure); tries++)
    waitMs += delayBefore(defaultRetryPolicy, tries, failure)
  return { tries, waitMs }
}

test('who is not there at the first contact is tried once more, shortly after', () => {
  for (const error of [
    systemError('ECONNREFUSED'),
    systemError('EAI_AGAIN'),
    systemError('ERR_SSL_WRONG_VERSION_NUMBER'),
    severalAddresses('ECONNREFUSED', 'ENETUNREACH'),
  ]) {
    const { tries, waitMs } = triesOf(error, true)
    assert.equal(tries, 2, error.message)
    assert.ok(waitMs <= 250)
    assert.equal(triesOf(error, false).tries, defaultRetryPolicy.attempts, error.message)
  }
})

test('no name and no trust are no matter of patience, ever', () => {
  for (const code of ['ENOTFOUND', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID'])
    for (const isFirst of [true, false]) assert.equal(triesOf(systemError(code), isFirst).tries, 1, code)
})

test('what one of several addresses may still answer, a cut and silence are tried as often as is due', () => {
  for (const error of [
    severalAddresses('ECONNREFUSED', 'ETIMEDOUT'),
    severalAddresses('ETIMEDOUT', 'ECONNREFUSED'),
    systemError('ECONNRESET'),
    systemError('UND_ERR_SOCKET'),
    systemError('UND_ERR_CONNECT_TIMEOUT'),
  ])
    assert.equal(triesOf(error, true).tries, defaultRetryPolicy.attempts, error.message)
  assert.ok(
    networkError(step, 'x.io', systemError('ECONNRESET'), { isFirst: true }) instanceof TransientError,
  )
})
