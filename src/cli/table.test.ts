import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTable } from './table.ts'

const columns = [
  { title: 'ID', value: (row: readonly string[]) => row[0] ?? '' },
  { title: 'LONG TITLE', value: (row: readonly string[]) => row[1] ?? '' },
]

test('columns are as wide as their widest cell, and lines end without blanks', () => {
  assert.equal(
    formatTable(columns, [
      ['abcdef', 'x'],
      ['a', ''],
    ]),
    ['ID      LONG TITLE', 'abcdef  x', 'a', ''].join('\n'),
  )
})

test('without rows there is the title line', () => {
  assert.equal(formatTable(columns, []), 'ID  LONG TITLE\n')
})
