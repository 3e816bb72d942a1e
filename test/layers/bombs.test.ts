import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { isCofferError } from '../../src/errors.ts'
import { type MergeOptions, mergeLayers } from '../../src/image/layer/merge.ts'
import { tarArchive, tarItem } from '../../src/image/layer/tar-fixture.ts'
import { scratchDirectory } from '../scratch.ts'
import { layerOf } from './layout.ts'

test('14: bombs end at the limits', async () => {
  using scratch = scratchDirectory('hostile')
  const image = join(scratch.path, 'image')
  const refused = async (tar: Buffer, message: RegExp, limits: MergeOptions['limits']): Promise<void> => {
    await assert.rejects(
      mergeLayers([layerOf(tar)], image, { limits }),
      error => isCofferError(error, 'resource_exhausted') && message.test(error.message),
    )
    assert.deepEqual(readdirSync(scratch.path), [])
  }
  const mebibyte = 1024 ** 2
  // Zeros end the archive, and are read all the same.
  const bomb = Buffer.alloc(64 * mebibyte)
  await refused(gzipSync(bomb), /more than 16777216 bytes/, { maxBytes: 16 * mebibyte })
  await refused(zstdCompressSync(bomb), /more than 16777216 bytes/, { maxBytes: 16 * mebibyte })
  // Sixteen layers of which each is small enough.
  const quarter = layerOf(tarArchive([{ path: 'f', content: Buffer.alloc(mebibyte) }]))
  await assert.rejects(
    mergeLayers(Array(16).fill(quarter), image, { limits: { maxBytes: 8 * mebibyte } }),
    error => isCofferError(error, 'resource_exhausted'),
  )
  const params = { [constants.ZSTD_c_windowLog]: 28, [constants.ZSTD_c_enableLongDistanceMatching]: 1 }
  await refused(zstdCompressSync(Buffer.alloc(300 * mebibyte), { params }), /window/, {})
  const hole = { 'GNU.sparse.map': '', 'GNU.sparse.size': `${2 ** 50}` }
  await refused(tarArchive([{ path: 'f', pax: hole }]), /files are too large/, {})
  const many = Buffer.concat(Array.from({ length: 2000 }, (_, index) => tarItem({ path: `${index}` })))
  await refused(many, /too many entries/, { maxEntries: 1999 })
  await refused(many, /too long/, { maxMetadataBytes: 5000 })
  const deep = tarArchive([{ path: 'x', pax: { path: 'd/'.repeat(2000) } }])
  await refused(deep, /too many entries/, { maxEntries: 1000 })
})
