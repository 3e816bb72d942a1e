import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blockBytes, inodeBytes, maxInlineBytes, slotBytes } from './format.ts'
import { placeInodes } from './place.ts'
import type { PlannedInode } from './plan.ts'

const fifo = { kind: 'fifo', mode: 0, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 } as const

const plan = (xattrBytes: number, inlineBytes: number): PlannedInode => ({
  node: fifo,
  parent: 0,
  size: 0,
  blocks: 0,
  inlineBytes,
  xattrBytes,
  names: [],
  links: 1,
  firstBlock: 0,
  position: 0,
})

const xattrBytes = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 4, max: 3000 }).map(units => units * 4),
  fc.integer({ min: 1000, max: 16_384 }).map(units => units * 4),
)
const inlineBytes = fc.oneof(
  fc.integer({ min: 0, max: maxInlineBytes }),
  fc.integer({ min: maxInlineBytes - 40, max: maxInlineBytes }),
)

const crossesBlock = (start: number, length: number): boolean =>
  length > 0 && Math.floor(start / blockBytes) !== Math.floor((start + length - 1) / blockBytes)

test('no inode and no inline data crosses a block, nothing overlaps, and nid 0 is free', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(xattrBytes, inlineBytes), { minLength: 1, maxLength: 200 }), sizes => {
      const inodes = sizes.map(([xattrs, inline]) => plan(xattrs, inline))
      placeInodes(inodes)
      for (const inode of inodes) {
        assert.equal(inode.position % slotBytes, 0)
        assert.ok(!crossesBlock(inode.position, inodeBytes))
        assert.ok(!crossesBlock(inode.position + inodeBytes + inode.xattrBytes, inode.inlineBytes))
      }
      const ordered = inodes.toSorted((a, b) => a.position - b.position)
      let end = 1
      for (const { position, xattrBytes, inlineBytes } of ordered) {
        assert.ok(position >= end)
        end = position + inodeBytes + xattrBytes + inlineBytes
      }
      // 16 bits of the superblock.
      assert.ok((inodes[0]?.position ?? 0) / slotBytes <= 0xffff)
    }),
    { numRuns: 500 },
  )
})
