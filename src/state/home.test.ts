import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDirectory } from '../../test/scratch.ts'
import { isCofferError } from '../errors.ts'
import { openHome, sweepTemporary, temporaryPath } from './home.ts'

test('a home is made with all its directories, for its owner alone', () => {
  using scratch = scratchDirectory('home')
  const home = openHome(join(scratch.path, 'deep', 'home'))
  for (const path of [
    home.path,
    home.boxes,
    home.images,
    home.templates,
    home.disks,
    home.locks,
    home.temporary,
  ])
    assert.equal(statSync(path).mode & 0o777, 0o700)
  openHome(home.path)
})

test('a home that is a file, or below one, is refused with a hint', () => {
  using scratch = scratchDirectory('home')
  const file = join(scratch.path, 'file')
  writeFileSync(file, '')
  for (const path of [file, join(file, 'below')])
    assert.throws(
      () => openHome(path),
      error => isCofferError(error, 'storage_error') && error.hint !== undefined,
    )
})

test('a home that belongs to somebody else is refused', {
  skip: process.getuid?.() !== 0 && 'only root can give a directory away',
}, async () => {
  using scratch = scratchDirectory('home')
  const { chownSync } = await import('node:fs')
  chownSync(scratch.path, 12345, 12345)
  assert.throws(
    () => openHome(scratch.path),
    error => isCofferError(error, 'permission_denied') && error.message.includes('12345'),
  )
})

test('a home that cannot be written is refused', {
  skip: process.getuid?.() === 0 && 'root may write everywhere',
}, () => {
  using scratch = scratchDirectory('home')
  const home = join(scratch.path, 'home')
  mkdirSync(home)
  chmodSync(home, 0o500)
  assert.throws(
    () => openHome(home),
    error => isCofferError(error, 'permission_denied'),
  )
})

test('temporary files of the dead are swept, those of the living stay', () => {
  using scratch = scratchDirectory('home')
  const home = openHome(join(scratch.path, 'home'))
  const mine = temporaryPath(home, 'mine')
  const theirs = join(home.temporary, '999999999-1-theirs')
  for (const path of [mine, theirs, join(home.temporary, 'nobodys')]) writeFileSync(path, '')
  sweepTemporary(home, pid => pid === process.pid)
  assert.ok(existsSync(mine))
  assert.ok(!existsSync(theirs))
  assert.ok(!existsSync(join(home.temporary, 'nobodys')))
})
