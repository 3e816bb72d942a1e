import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseChallenges } from './challenge.ts'

const read = (...values: string[]) =>
  parseChallenges(values).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

test('challenges are read as registries write them', () => {
  const realm = 'https://auth.docker.io/token'
  assert.deepEqual(
    read(`Bearer realm="${realm}",service="registry.docker.io",scope="repository:a/b:pull,push"`),
    [['bearer', { realm, service: 'registry.docker.io', scope: 'repository:a/b:pull,push' }]],
  )
  assert.deepEqual(read('BEARER Realm = "x" , SERVICE=plain'), [['bearer', { realm: 'x', service: 'plain' }]])
  assert.deepEqual(read('Basic realm="a \\"quoted\\" one, with comma"'), [
    ['basic', { realm: 'a "quoted" one, with comma' }],
  ])
  assert.deepEqual(read('Bearer realm="x",realm="y"'), [['bearer', { realm: 'x' }]])
})

test('several challenges come in one header or in several', () => {
  const expected = [
    ['basic', { realm: 'a' }],
    ['bearer', { realm: 'b', service: 'c' }],
  ]
  assert.deepEqual(read('Basic realm="a", Bearer realm="b", service="c"'), expected)
  assert.deepEqual(read('Basic realm="a"', 'Bearer realm="b",service="c"'), expected)
  assert.deepEqual(read('Negotiate, Basic realm="a"'), [
    ['negotiate', {}],
    ['basic', { realm: 'a' }],
  ])
  assert.deepEqual(read('Negotiate YII=, Basic realm="a"'), [
    ['negotiate', {}],
    ['basic', { realm: 'a' }],
  ])
  assert.deepEqual(read('Basic'), [['basic', {}]])
})

test('what cannot be read is no challenge', () => {
  assert.deepEqual(parseChallenges(undefined), [])
  for (const value of ['', ',', '=', '"Bearer"', ' , ,', 'é']) assert.deepEqual(read(value), [], value)
  assert.deepEqual(read('Bearer realm="unfinished'), [['bearer', {}]])
})

test('challenges of any text and length are read without failing, and are few', () => {
  const pieces = fc.constantFrom('Bearer', 'Basic', ' ', ',', '=', '"', '\\', 'realm', 'a', '\t', '/')
  const texts = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 60 }).map(parts => parts.join('')),
  )
  fc.assert(
    fc.property(texts, text => assert.ok(parseChallenges(text).length <= 8)),
    { numRuns: 2000 },
  )
  for (const unit of ['a ', 'a=', 'a="', ',', '\\"', 'a=b,', ' '])
    assert.ok(parseChallenges(unit.repeat(100_000)).length <= 8)
})

test('the parameters of any challenge are read back', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/)
  const value = fc.string({ unit: fc.constantFrom(...'aZ0 ,="\\/:.') })
  fc.assert(
    fc.property(fc.dictionary(name, value, { minKeys: 1, maxKeys: 5, noNullPrototype: true }), parameters => {
      const written = Object.entries(parameters).map(
        ([key, text]) => `${key}="${text.replace(/(["\\])/g, '\\$1')}"`,
      )
      assert.deepEqual(read(`Bearer ${written.join(',')}`), [['bearer', parameters]])
    }),
  )
})
