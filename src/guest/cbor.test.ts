import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decoder, Encoder } from 'cbor-x'
import fc from 'fast-check'
import { CborError, type CborValue, decodeCbor, encodeCbor } from './cbor.ts'

const { value: anyValue } = fc.letrec<{ value: CborValue }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.integer(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }).map(shrinkToNumber),
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 400 }).map(bytes => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 30, noNullPrototype: false }),
  ),
}))

test('what is encoded decodes to the same value', () => {
  fc.assert(
    fc.property(anyValue, value => {
      assert.deepEqual(plain(decodeCbor(encodeCbor(value))), plain(value))
    }),
  )
})

test('another CBOR implementation reads what we write', () => {
  const decoder = new Decoder({ mapsAsObjects: false, int64AsNumber: false } as object)
  fc.assert(
    fc.property(anyValue, value => {
      assert.deepEqual(plain(fromMaps(decoder.decode(encodeCbor(value)))), plain(value))
    }),
  )
})

test('we read what another CBOR implementation writes', () => {
  const encoder = new Encoder({
    useRecords: false,
    mapsAsObjects: true,
    variableMapSize: true,
    tagUint8Array: false,
  } as object)
  const strings = fc.dictionary(
    fc.string(),
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.nat())),
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(strings, value => {
      assert.deepEqual(plain(decodeCbor(encoder.encode({ ...value }))), plain({ ...value }))
    }),
  )
})

test('arbitrary bytes either decode or throw CborError, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
      try {
        decodeCbor(bytes)
      } catch (error) {
        assert.ok(error instanceof CborError)
      }
    }),
    { numRuns: 20_000 },
  )
})

test('a mutated valid message either decodes or throws CborError, nothing else', () => {
  fc.assert(
    fc.property(anyValue, fc.nat(), fc.nat(255), (value, at, byte) => {
      const bytes = encodeCbor(value)
      bytes[at % bytes.length] = byte
      try {
        decodeCbor(bytes)
      } catch (error) {
        assert.ok(error instanceof CborError)
      }
    }),
    { numRuns: 5_000 },
  )
})

const refused: readonly (readonly [string, readonly number[]])[] = [
  ['a tag', [0xc0, 0x00]],
  ['a float', [0xfa, 0, 0, 0, 0]],
  ['an indefinite array', [0x9f, 0xff]],
  ['an indefinite text', [0x7f, 0xff]],
  ['a key that is a number', [0xa1, 0x01, 0x01]],
  ['the same key twice', [0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02]],
  ['bytes after the value', [0x01, 0x01]],
  ['a text that is not UTF-8', [0x61, 0xff]],
  ['a length beyond the input', [0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ['an array count beyond the input', [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ['nothing', []],
  ['nesting without end', Array.from({ length: 64 }, () => 0x81)],
]
for (const [what, bytes] of refused) {
  test(`refuses ${what}`, () => {
    assert.throws(() => decodeCbor(Uint8Array.from(bytes)), CborError)
  })
}

test('a key named __proto__ is data', () => {
  const decoded = decodeCbor(Buffer.concat([Buffer.from([0xa1]), encodeCbor('__proto__'), encodeCbor([1])]))
  assert.deepEqual(Object.keys(decoded as object), ['__proto__'])
  assert.equal(({} as { length?: number }).length, undefined)
})

function shrinkToNumber(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) && BigInt(number) === value ? number : value
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') }
  if (typeof value === 'bigint') return shrinkToNumber(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null)
    return new Map(Object.entries(value).map(([key, item]) => [key, plain(item)] as const))
  return Object.is(value, -0) ? 0 : value
}

function fromMaps(value: unknown): unknown {
  if (value instanceof Map) {
    const object: { [key: string]: unknown } = Object.create(null)
    for (const [key, item] of value) object[key] = fromMaps(item)
    return object
  }
  return Array.isArray(value) ? value.map(fromMaps) : value
}
