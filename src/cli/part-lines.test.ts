import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBar, formatTimeLeft, partLine, partLines } from './part-lines.ts'
import { type PartProgress, Parts } from './parts.ts'

const layer: PartProgress = {
  key: 0,
  label: 'a1b2c3d4e5f6',
  phase: 'downloading',
  bytes: 0,
  totalBytes: 40_000_000,
  isActive: true,
  isDone: false,
}

/** A layer of 40 MB, half of which came in the last two seconds. */
function half() {
  const parts = new Parts()
  parts.update(layer, 0)
  parts.update({ ...layer, bytes: 20_000_000 }, 2000)
  const [part] = parts.list()
  assert.ok(part)
  return part
}

test('a line has bar, bytes, speed and time left, and what does not fit goes from the right', () => {
  const lines = [120, 79, 71, 60, 45, 20].map(width => partLine(half(), width, 2000))
  assert.deepEqual(lines, [
    'a1b2c3d4e5f6  downloading  [===================>                    ]    20.0 MB/40.0 MB   10.0 MB/s  2 s',
    'a1b2c3d4e5f6  downloading  [====>     ]    20.0 MB/40.0 MB   10.0 MB/s  2 s',
    'a1b2c3d4e5f6  downloading  [====>      ]    20.0 MB/40.0 MB   10.0 MB/s',
    'a1b2c3d4e5f6  downloading  [=====>      ]    20.0 MB/40.0 MB',
    'a1b2c3d4e5f6  downloading    20.0 MB/40.0 MB',
    'a1b2c3d4e5f6  downlo',
  ])
})

test('no line is longer than it may be, whatever the numbers', () => {
  for (const totalBytes of [0, 1, 999_999_999_999])
    for (let width = 1; width <= 200; width++) {
      const parts = new Parts()
      parts.update({ ...layer, totalBytes }, 0)
      parts.update({ ...layer, totalBytes, bytes: totalBytes }, 1000)
      for (const part of parts.list()) assert.ok(partLine(part, width, 1000).length <= width)
    }
})

test('a part that waits or is done has neither speed nor time', () => {
  const parts = new Parts()
  parts.update({ ...layer, phase: 'waiting', isActive: false }, 0)
  parts.update({ ...layer, key: 1, phase: 'done', bytes: 40_000_000, isActive: false, isDone: true }, 0)
  assert.deepEqual(partLines(parts.list(), { columns: 80, rows: 24 }, 9000), [
    'a1b2c3d4e5f6  waiting      [          ]        0 B/40.0 MB',
    'a1b2c3d4e5f6  done         [==========]    40.0 MB/40.0 MB',
  ])
})

test('more parts than the screen has lines: those at work are shown, the others counted', () => {
  const parts = new Parts()
  for (let key = 0; key < 30; key++) {
    const isDone = key < 20
    parts.update({ ...layer, key, label: `layer-${key}`, isDone, isActive: key === 25 || key === 29 }, 0)
  }
  const lines = partLines(parts.list(), { columns: 60, rows: 8 }, 0)
  assert.deepEqual(
    lines.map(line => line.split(' ')[0]),
    ['layer-20', 'layer-21', 'layer-22', 'layer-25', 'layer-29', '…'],
  )
  assert.equal(lines.at(-1), '… and 25 more, 20 of them done')
  assert.equal(partLines(parts.list(), { columns: 60, rows: 1 }, 0).length, 1)
})

test('a label cannot make the terminal do anything', () => {
  const parts = new Parts()
  parts.update({ ...layer, label: '\u001b[2J\r\u009b\u202e' }, 0)
  const [line = ''] = partLines(parts.list(), { columns: 80, rows: 24 }, 0)
  assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u)
})

test('a bar is full only when all is there', () => {
  const bar = (bytes: number, isDone = false): string => formatBar({ bytes, totalBytes: 100, isDone }, 12)
  assert.equal(bar(0), '[          ]')
  assert.equal(bar(10), '[>         ]')
  assert.equal(bar(99), '[========> ]')
  assert.equal(bar(100), '[==========]')
  assert.equal(bar(0, true), '[==========]')
  assert.equal(formatBar({ bytes: 0, totalBytes: 0, isDone: false }, 12), '[          ]')
})

test('the time left is rounded up in its largest unit', () => {
  const texts = [0, 0.2, 59, 60, 3500, 3541, 86_400 * 3, Number.POSITIVE_INFINITY, Number.NaN].map(
    formatTimeLeft,
  )
  assert.deepEqual(texts, ['0 s', '1 s', '59 s', '1 min', '59 min', '1 h', '3 days', '', ''])
})
