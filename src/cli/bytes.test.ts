import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBytes } from './bytes.ts'

test('sizes have at most four digits and the largest unit that leaves something before the point', () => {
  const expected: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [12_345, '12.3 kB'],
    [999_949, '999.9 kB'],
    [999_950, '1.0 MB'],
    [45_600_000, '45.6 MB'],
    [3_200_000_000, '3.2 GB'],
    [5e15, '5000.0 TB'],
    [-1, '0 B'],
  ]
  for (const [bytes, text] of expected) assert.equal(formatBytes(bytes), text)
})
