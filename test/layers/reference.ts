import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { checkImage, chooseViewer, withImage } from '../../src/erofs/image-fixture.ts'
import { isCofferError } from '../../src/errors.ts'
import { mergeLayers } from '../../src/image/layer/merge.ts'
import { layersOf } from './layout.ts'
import { type Inode, surveyTree } from './tree-survey.ts'

const run = promisify(execFile)

/** Whether trees can be compared here; skips the test with the reason if not. */
export async function canCompare(t: TestContext): Promise<boolean> {
  const viewer = await chooseViewer(t)
  if (viewer === 'extract') t.skip('comparing owners and devices needs root and a loop mount of EROFS')
  if (viewer !== 'mount') return false
  return run('umoci', ['--version']).then(
    () => true,
    () => {
      t.skip('umoci is not installed')
      return false
    },
  )
}

/**
 * Merges the image and lets umoci unpack it, in a new directory at `scratch`, and compares the trees entry by entry. Both may
 * refuse the image instead; what `refused` says is whether they did.
 */
export async function compareWithUmoci(
  scratch: string,
  layout: string,
  tag = 'image',
): Promise<{ refused: boolean; entries: number }> {
  mkdirSync(scratch)
  const startNs = statSync(scratch, { bigint: true }).mtimeNs - 1n
  const image = join(scratch, 'image')
  const [merged, unpacked] = await Promise.allSettled([
    mergeLayers(layersOf(layout, tag), image),
    unpackWithUmoci(join(scratch, 'bundle'), layout, tag),
  ])
  if (merged.status === 'rejected') {
    assert.ok(isCofferError(merged.reason), `${merged.reason}`)
    assert.equal(unpacked.status, 'rejected', merged.reason.message)
    return { refused: true, entries: 0 }
  }
  if (unpacked.status === 'rejected') throw unpacked.reason
  const entries = await compareImage(image, unpacked.value, startNs)
  rmSync(scratch, { recursive: true })
  return { refused: false, entries }
}

/** Compares an image with a tree, both of the same layers; gives the number of entries. */
export async function compareImage(
  image: string,
  expected: ReadonlyMap<string, Inode>,
  startNs: bigint,
): Promise<number> {
  await checkImage(image)
  const seen = await withImage(image, 'mount', surveyTree)
  assertSameTree(seen, expected, startNs)
  return seen.size
}

/** The tree that umoci makes of an image, in a new directory at `bundle`. */
export async function unpackWithUmoci(
  bundle: string,
  layout: string,
  tag: string,
): Promise<Map<string, Inode>> {
  await run('umoci', ['unpack', '--image', `${layout}:${tag}`, bundle])
  return surveyTree(join(bundle, 'rootfs'))
}

function assertSameTree(
  seen: ReadonlyMap<string, Inode>,
  expected: ReadonlyMap<string, Inode>,
  startNs: bigint,
): void {
  assert.deepEqual([...seen.keys()], [...expected.keys()], 'the paths')
  for (const [path, inode] of seen) {
    const other = expected.get(path)
    assert.ok(other !== undefined)
    // Of a directory that no layer has an entry for, or that a whiteout deep below changed, umoci says that it changed now.
    const isNow = other.mode.startsWith('4') && other.mtimeNs > startNs
    const mtimeNs = isNow ? inode.mtimeNs : other.mtimeNs
    assert.deepEqual(inode, { ...other, mtimeNs }, JSON.stringify(path))
  }
}
