import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DetachKeyFilter, defaultDetachKeys, parseDetachKeys } from './detach-keys.ts'

const keys = parseDetachKeys(defaultDetachKeys)

/** Types the pieces one after another, as far as the keys. */
function type(filter: DetachKeyFilter, ...pieces: readonly string[]) {
  let forwarded = ''
  for (const piece of pieces) {
    const { forward, found } = filter.push(Buffer.from(piece, 'latin1'))
    forwarded += forward.toString('latin1')
    if (found) return { forwarded, found }
  }
  return { forwarded, found: false }
}

test('keys are characters and control characters, divided by commas', () => {
  assert.deepEqual(parseDetachKeys('ctrl-p,ctrl-q'), [0x10, 0x11])
  assert.deepEqual(parseDetachKeys('a,~, '), [0x61, 0x7e, 0x20])
  assert.deepEqual(parseDetachKeys('ctrl-a,ctrl-z,CTRL-C'), [1, 26, 3])
  assert.deepEqual(
    parseDetachKeys('ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_'),
    [0, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f],
  )
  assert.deepEqual(parseDetachKeys(''), [])
})

test('what is no key is refused', () => {
  for (const text of [
    'ctrl-',
    'ctrl-1',
    'ctrl-ab',
    'alt-a',
    'ab',
    'ctrl-p,',
    ',',
    'ctrl-p,,a',
    'ü',
    '\n',
    'ctrl-`',
  ])
    assert.throws(() => parseDetachKeys(text), { code: 'commander.invalidArgument' }, text)
})

test('the keys are found in one piece, in two, and with input around them', () => {
  assert.deepEqual(type(new DetachKeyFilter(keys), '\x10\x11'), { forwarded: '', found: true })
  assert.deepEqual(type(new DetachKeyFilter(keys), '\x10', '', '\x11'), { forwarded: '', found: true })
  assert.deepEqual(type(new DetachKeyFilter(keys), 'ls\r\x10\x11not this'), {
    forwarded: 'ls\r',
    found: true,
  })
})

test('a beginning of the keys is held back, and passed on when it was none', () => {
  const filter = new DetachKeyFilter(keys)
  assert.deepEqual(type(filter, 'a\x10'), { forwarded: 'a', found: false })
  assert.deepEqual(type(filter, 'b'), { forwarded: '\x10b', found: false })
  assert.deepEqual(type(filter, '\x11'), { forwarded: '\x11', found: false })
  assert.deepEqual(type(filter, '\x10', '\x10'), { forwarded: '\x10', found: false })
  assert.deepEqual(type(filter, '\x11'), { forwarded: '', found: true })
  assert.deepEqual(type(filter, '\x10').forwarded + filter.rest().toString('latin1'), '\x10')
  assert.equal(filter.rest().length, 0)
})

test('keys that begin like themselves are found wherever they begin', () => {
  const repeated = new DetachKeyFilter(parseDetachKeys('a,a,b'))
  assert.deepEqual(type(repeated, 'aa', 'a', 'b'), { forwarded: 'a', found: true })
})

test('without keys everything is passed on', () => {
  assert.deepEqual(type(new DetachKeyFilter([]), '\x10\x11', 'x'), { forwarded: '\x10\x11x', found: false })
})

test('whatever is typed in whatever pieces: all before the keys is passed on, in order', () => {
  const letter = fc.constantFrom('a', 'b', 'c')
  const pieces = fc.array(fc.string({ unit: letter, maxLength: 6 }), { maxLength: 8 })
  const sequence = fc.array(letter, { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(pieces, sequence, (typed, wanted) => {
      const filter = new DetachKeyFilter(parseDetachKeys(wanted.join(',')))
      const { forwarded, found } = type(filter, ...typed)
      const all = typed.join('')
      const at = all.indexOf(wanted.join(''))
      assert.equal(found, at !== -1)
      assert.equal(forwarded + filter.rest().toString('latin1'), at === -1 ? all : all.slice(0, at))
    }),
  )
})
