import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { scratchDirectory } from '../../test/scratch.ts'
import { isCofferError } from '../errors.ts'
import { type BoxRow, Store } from './store.ts'

const row = (id: string, name?: string): BoxRow => ({
  id,
  name,
  createdAtMs: Date.now(),
  config: '{}',
  status: 'configured',
  startedAtMs: undefined,
  stoppedAtMs: undefined,
  reason: undefined,
})

test('a record survives the store and is found by id and by name', () => {
  using scratch = scratchDirectory('store')
  const path = join(scratch.path, 'coffer.db')
  {
    using store = new Store(path)
    store.insertBox({ ...row('aaaaaaaaaaaa', 'web'), startedAtMs: 5, reason: 'why' })
  }
  using store = new Store(path)
  const found = store.findBox('web')
  assert.equal(found?.id, 'aaaaaaaaaaaa')
  assert.deepEqual(store.findBox('aaaaaaaaaaaa'), found)
  assert.equal(found?.startedAtMs, 5)
  assert.equal(found?.stoppedAtMs, undefined)
  assert.equal(found?.reason, 'why')
})

test('two stores of one file see each other’s records, newest first', () => {
  using scratch = scratchDirectory('store')
  const path = join(scratch.path, 'coffer.db')
  using one = new Store(path)
  using two = new Store(path)
  one.insertBox({ ...row('aaaaaaaaaaaa'), createdAtMs: 1 })
  two.insertBox({ ...row('bbbbbbbbbbbb'), createdAtMs: 2 })
  assert.deepEqual(
    one.listBoxes().map(({ id }) => id),
    ['bbbbbbbbbbbb', 'aaaaaaaaaaaa'],
  )
  assert.ok(two.deleteBox('aaaaaaaaaaaa'))
  assert.equal(one.findBox('aaaaaaaaaaaa'), undefined)
})

test('a name has one owner, no name has many', () => {
  using scratch = scratchDirectory('store')
  using store = new Store(join(scratch.path, 'coffer.db'))
  store.insertBox(row('aaaaaaaaaaaa', 'web'))
  assert.throws(
    () => store.insertBox(row('bbbbbbbbbbbb', 'web')),
    error => isCofferError(error, 'already_exists'),
  )
  store.insertBox(row('cccccccccccc'))
  store.insertBox(row('dddddddddddd'))
})

test('an id wins over a name that looks like it', () => {
  using scratch = scratchDirectory('store')
  using store = new Store(join(scratch.path, 'coffer.db'))
  store.insertBox(row('aaaaaaaaaaaa'))
  store.insertBox(row('bbbbbbbbbbbb', 'aaaaaaaaaaaa'))
  assert.equal(store.findBox('aaaaaaaaaaaa')?.id, 'aaaaaaaaaaaa')
})

test('a database of a newer schema is refused and left alone', () => {
  using scratch = scratchDirectory('store')
  const path = join(scratch.path, 'coffer.db')
  {
    using store = new Store(path)
    store.insertBox(row('aaaaaaaaaaaa'))
  }
  const database = new DatabaseSync(path)
  database.exec('PRAGMA user_version = 999')
  database.close()
  assert.throws(
    () => new Store(path),
    error => isCofferError(error, 'database_error'),
  )
})

test('a file that is no database is a database_error', () => {
  using scratch = scratchDirectory('store')
  const path = join(scratch.path, 'coffer.db')
  writeFileSync(path, 'not a database at all, but long enough to be read as a header of one'.repeat(50))
  assert.throws(
    () => new Store(path),
    error => isCofferError(error, 'database_error'),
  )
})
