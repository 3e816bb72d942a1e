import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BoxInfo } from '../../runtime/options.ts'
import { collectFilter } from '../box-filter.ts'
import { runningBox as box, now } from '../box-fixture.ts'
import { formatBoxes, isWanted } from './ps.ts'

test('a table has one line for each box, with its state and since when', () => {
  const [title, line, ...rest] = formatBoxes([box], {}, now).split('\n')
  assert.match(title ?? '', /^ID +NAME +IMAGE +STATUS +CPUS +MEMORY +CREATED$/)
  assert.match(
    line ?? '',
    /^abcdefghijkl {2}web {3}busybox {2}running 30 seconds {2}1 +512 MiB {2}1 hour ago$/,
  )
  assert.deepEqual(rest, [''])
})

test('-q prints ids, --json an array, also of nothing', () => {
  assert.equal(formatBoxes([box, box], { quiet: true }), 'abcdefghijkl\nabcdefghijkl\n')
  assert.equal(formatBoxes([], { quiet: true }), '')
  assert.deepEqual(JSON.parse(formatBoxes([], { json: true })), [])
  assert.equal(JSON.parse(formatBoxes([box], { json: true }))[0].createdAt, '2030-01-01T00:00:00.000Z')
})

test('boxes at work are listed, all with -a, and those with a status that is asked for', () => {
  const stopped: BoxInfo = { ...box, status: 'stopped' }
  const waiting: BoxInfo = { ...stopped, restart: { ...box.restart, nextAt: now } }
  assert.deepEqual(
    [box, stopped, waiting].map(each => isWanted(each, {})),
    [true, false, true],
  )
  assert.ok(isWanted(stopped, { all: true }))
  assert.ok(isWanted(stopped, { filter: collectFilter('status=stopped') }))
  assert.ok(!isWanted(stopped, { filter: collectFilter('name=web') }))
  assert.ok(!isWanted(stopped, { all: true, filter: collectFilter('name=other') }))
})
