import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginsDisk } from './disk-file.ts'

const empty = (): Buffer => Buffer.alloc(4096)

test('a disk is told from a tar by what it begins with', () => {
  const ext4 = empty()
  ext4.writeUInt16LE(0xef53, 1080)
  const erofs = empty()
  erofs.writeUInt32LE(0xe0f5_e1e2, 1024)
  const partitions = empty()
  partitions.writeUInt16LE(0xaa55, 510)
  const qcow2 = Buffer.from('QFI\u00fb\0\0\0\u0003', 'latin1')
  for (const start of [ext4, erofs, partitions, qcow2]) assert.ok(beginsDisk(start))
})

test('an archive is none, whatever its first file holds; neither is a short or an empty file', () => {
  const tar = empty()
  tar.write('ustar', 257)
  const gzip = Buffer.concat([Buffer.from([0x1f, 0x8b]), empty()]).subarray(0, 4096)
  const zstd = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), empty()]).subarray(0, 4096)
  for (const archive of [tar, gzip, zstd]) {
    archive.writeUInt16LE(0xef53, 1080)
    assert.ok(!beginsDisk(archive))
  }
  assert.ok(!beginsDisk(Buffer.alloc(0)))
  assert.ok(!beginsDisk(empty()))
})
