import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BoxInfo } from '../runtime/options.ts'
import { type BoxFilter, collectFilter, fits } from './box-filter.ts'
import { now, runningBox } from './box-fixture.ts'

function parse(...texts: readonly string[]): BoxFilter {
  const filter = texts.reduce<BoxFilter | undefined>((before, text) => collectFilter(text, before), undefined)
  return filter ?? assert.fail('no text')
}

function matches(texts: readonly string[], info: Partial<BoxInfo> = {}): boolean {
  return fits({ ...runningBox, ...info }, parse(...texts))
}

test('a status is exact, a name need only contain the text, and one of several will do', () => {
  assert.ok(matches(['status=running']))
  assert.ok(!matches(['status=stopped']))
  assert.ok(matches(['status=stopped', 'status=running']))
  assert.ok(matches(['name=e']))
  assert.ok(matches(['name=no', 'name=web']))
  assert.ok(!matches(['name=webb']))
  assert.ok(!matches(['name=web'], { name: undefined }))
})

test('of labels all must be there, and have the value if one is named', () => {
  const labels = { tier: 'back=end', empty: '' }
  assert.ok(matches(['label=tier'], { labels }))
  assert.ok(matches(['label=tier=back=end', 'label=empty='], { labels }))
  assert.ok(!matches(['label=tier', 'label=other'], { labels }))
  assert.ok(!matches(['label=tier='], { labels }))
  assert.ok(!matches(['label=toString'], { labels }))
})

test('different kinds must all fit', () => {
  assert.ok(matches(['status=stopped', 'name=web'], { status: 'stopped', stoppedAt: now }))
  assert.ok(!matches(['status=stopped', 'name=web']))
})

test('what is no filter is refused', () => {
  for (const text of ['', 'status', 'status=', 'status=runing', 'image=busybox', 'web'])
    assert.throws(() => parse(text), { code: 'commander.invalidArgument' }, text)
})
