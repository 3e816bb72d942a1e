import assert from 'node:assert/strict'
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { copyMemory, findUsedPages } from './memory-file.ts'

const pageBytes = 4096
const pages = 2_000

let directory: string
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'coffer-memory-'))
})
after(() => rmSync(directory, { recursive: true, force: true }))

/** A memory file in which these pages hold something: at a place that differs, so that no part of a page goes unseen. */
function memoryWith(used: readonly number[]): string {
  const path = join(directory, 'memory')
  const descriptor = openSync(path, 'w')
  ftruncateSync(descriptor, pages * pageBytes)
  for (const page of used)
    writeSync(descriptor, Buffer.of(1 + (page % 255)), 0, 1, page * pageBytes + ((page * 37) % pageBytes))
  closeSync(descriptor)
  return path
}

test('a copy is the same to the byte, whatever pages are in use', async () => {
  const usedPages = fc.uniqueArray(fc.integer({ min: 0, max: pages - 1 }), { maxLength: 300 })
  await fc.assert(
    fc.asyncProperty(usedPages, async used => {
      const path = memoryWith(used)
      const copy = join(directory, 'copy')
      rmSync(copy, { force: true })
      const ranges = await findUsedPages(path)
      await copyMemory(path, copy, ranges)
      assert.ok(readFileSync(copy).equals(readFileSync(path)))
      for (const page of used) assert.ok(ranges.some(([from, to]) => from <= page && page < to))
    }),
    { numRuns: 25 },
  )
})

test('what is empty stays a hole, and short gaps make no ranges of their own', async () => {
  const path = memoryWith([3, 5, 10, 1_000, 1_999])
  assert.deepEqual(await findUsedPages(path), [
    [3, 11],
    [1_000, 1_001],
    [1_999, 2_000],
  ])
  const copy = join(directory, 'sparse')
  await copyMemory(path, copy, [[0, pages]])
  assert.equal(statSync(copy).size, pages * pageBytes)
  assert.ok(statSync(copy).blocks * 512 <= 32 * pageBytes)
})

test('a copy takes nobody’s place', async () => {
  const path = memoryWith([1])
  const copy = join(directory, 'taken')
  await copyMemory(path, copy, [[0, 2]])
  await assert.rejects(copyMemory(path, copy, [[0, 2]]), { code: 'EEXIST' })
})
