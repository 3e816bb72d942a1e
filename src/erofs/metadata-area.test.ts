import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blockBytes, inodeBytes, maxInlineBytes, slotBytes } from './format.ts'
import { MetadataArea } from './metadata-area.ts'

const xattrBytes = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 4, max: 3000 }).map(units => units * 4),
  fc.integer({ min: 1000, max: 16_384 }).map(units => units * 4),
)
const inlineBytes = fc.oneof(
  fc.integer({ min: 0, max: maxInlineBytes }),
  fc.integer({ min: maxInlineBytes - 40, max: maxInlineBytes }),
)

const blockOf = (position: number): number => Math.floor(position / blockBytes)

const crossesBlock = (start: number, length: number): boolean =>
  length > 0 && blockOf(start) !== blockOf(start + length - 1)

test('no inode and no inline data crosses a block, nothing overlaps, and nid 0 is free', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(xattrBytes, inlineBytes), { minLength: 1, maxLength: 200 }), sizes => {
      const area = new MetadataArea()
      const inodes = sizes.map(([xattrBytes, inlineBytes]) => ({
        xattrBytes,
        inlineBytes,
        position: area.place(xattrBytes, inlineBytes),
      }))
      for (const { position, xattrBytes, inlineBytes } of inodes) {
        assert.equal(position % slotBytes, 0)
        assert.ok(!crossesBlock(position, inodeBytes))
        assert.ok(!crossesBlock(position + inodeBytes + xattrBytes, inlineBytes))
      }
      const ordered = inodes.toSorted((a, b) => a.position - b.position)
      let end = 1
      for (const { position, xattrBytes, inlineBytes } of ordered) {
        assert.ok(position >= end)
        end = position + inodeBytes + xattrBytes + inlineBytes
      }
      // 16 bits of the superblock.
      assert.ok((inodes[0]?.position ?? 0) / slotBytes <= 0xffff)
      // The writer sorts by block alone.
      const byBlock = inodes.toSorted((a, b) => blockOf(a.position) - blockOf(b.position))
      assert.deepEqual(byBlock, ordered)
    }),
    { numRuns: 500 },
  )
})
