import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDirectory } from '../../test/scratch.ts'
import { createOverlay } from './qcow2.ts'

const virtualBytes = 64 * 1024 ** 3

test('qemu-img finds no fault in an overlay and reads the backing file through it', () => {
  using scratch = scratchDirectory('qcow2')
  const backingPath = join(scratch.path, 'base.img')
  writeFileSync(backingPath, 'content of the base')
  truncateSync(backingPath, 1024 * 1024)
  const path = join(scratch.path, 'disk.qcow2')
  createOverlay(path, { virtualBytes, backingPath })
  execFileSync('qemu-img', ['check', '-q', path])
  const info = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', path], { encoding: 'utf8' }))
  assert.equal(info['virtual-size'], virtualBytes)
  assert.equal(info['full-backing-filename'], backingPath)
  assert.equal(info['backing-filename-format'], 'raw')
  const raw = join(scratch.path, 'raw')
  execFileSync('qemu-img', ['dd', '-O', 'raw', `if=${path}`, `of=${raw}`, 'bs=1M', 'count=1'])
  assert.match(execFileSync('head', ['-c', '19', raw], { encoding: 'utf8' }), /^content of the base$/)
})

test('an overlay is never written over something', () => {
  using scratch = scratchDirectory('qcow2')
  const path = join(scratch.path, 'disk.qcow2')
  writeFileSync(path, 'a disk')
  assert.throws(() => createOverlay(path, { virtualBytes, backingPath: '/base' }), { code: 'EEXIST' })
})

test('a backing path longer than the format allows leaves nothing behind', () => {
  using scratch = scratchDirectory('qcow2')
  const path = join(scratch.path, 'disk.qcow2')
  assert.throws(() => createOverlay(path, { virtualBytes, backingPath: `/${'x'.repeat(1023)}` }), RangeError)
  assert.ok(!existsSync(path))
})
