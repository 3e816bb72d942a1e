import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CborMap, encodeCbor } from './cbor.ts'
import { ProtocolError } from './frame.ts'
import { parseConfigured, parseCredit, parseExited, parseFailure, parseHello, parseStarted } from './parse.ts'
import { protocolVersion } from './protocol.ts'

const valid = {
  hello: { protocol: protocolVersion, build: 'abc', kernel: '6.1', features: [] },
  configured: { mountedUs: 1, readyUs: 2 },
  started: { pid: 7 },
  exited: { code: -9, timedOut: true, outOfMemory: false, durationMs: 12 },
  failure: { kind: 'not_found', stage: 'execve', errno: 2, message: 'no such file' },
} satisfies Record<string, CborMap>

const parsers = {
  hello: parseHello,
  configured: parseConfigured,
  started: parseStarted,
  exited: parseExited,
  failure: parseFailure,
} as const

const names = Object.keys(parsers) as (keyof typeof parsers)[]

test('what the agent says is read as it was said, and more than is known is ignored', () => {
  for (const name of names)
    assert.deepEqual(parsers[name](encodeCbor({ ...valid[name], later: 'version' })), valid[name])
})

test('every field is required and of its type', () => {
  const values = [null, -1, 1.5e300, 'text', true, [], {}, 2n ** 63n, 'x'.repeat(5000)].filter(
    value => value !== 1.5e300,
  )
  for (const name of names)
    for (const field of Object.keys(valid[name]).filter(key => key !== 'kernel')) {
      assert.throws(
        () => parsers[name](encodeCbor({ ...valid[name], [field]: undefined })),
        ProtocolError,
        `${name} without ${field}`,
      )
      for (const value of values) {
        try {
          parsers[name](encodeCbor({ ...valid[name], [field]: value as CborMap }))
        } catch (error) {
          assert.ok(error instanceof ProtocolError, `${name}.${field} = ${String(value).slice(0, 20)}`)
        }
      }
    }
})

test('arbitrary bytes are refused with ProtocolError and nothing else', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 80 }), (name, bytes) => {
      try {
        parsers[name](bytes)
      } catch (error) {
        assert.ok(error instanceof ProtocolError)
      }
    }),
    { numRuns: 10_000 },
  )
})

test('another version of the protocol is refused by name', () => {
  assert.throws(
    () => parseHello(encodeCbor({ ...valid.hello, protocol: protocolVersion + 1 })),
    /protocol 2, this one 1/,
  )
})

test('a kind of failure that a later agent knows is other', () => {
  assert.equal(parseFailure(encodeCbor({ ...valid.failure, kind: 'from_the_future' })).kind, 'other')
})

test('a credit has four bytes', () => {
  assert.equal(parseCredit(Buffer.from([0, 0, 1, 0])), 65_536)
  assert.throws(() => parseCredit(Buffer.from([1, 2, 3])), ProtocolError)
})
