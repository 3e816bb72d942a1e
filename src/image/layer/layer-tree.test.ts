import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Tree } from '../../erofs/tree.ts'
import { createErofsWriter, type ErofsWriter } from '../../erofs/writer.ts'
import { isCofferError } from '../../errors.ts'
import { applyEntry } from './apply-entry.ts'
import { Budget } from './budget.ts'
import { LayerTree } from './layer-tree.ts'
import { defaultLayerLimits } from './limits.ts'
import { readTar } from './tar.ts'
import { inChunks, type TarItem, tarArchive } from './tar-fixture.ts'

/** One step of a layer. Without symbolic links on the way, so that a path is a key. */
type Step = {
  readonly action: 'file' | 'directory' | 'symlink' | 'link' | 'whiteout' | 'opaque'
  readonly path: readonly string[]
  readonly other: readonly string[]
  readonly uid: number
}
type Known = { readonly kind: 'file' | 'directory' | 'symlink'; uid: number }

const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 4 })
const step: fc.Arbitrary<Step> = fc.record({
  action: fc.constantFrom(
    ...([
      'file',
      'file',
      'directory',
      'directory',
      'symlink',
      'link',
      'whiteout',
      'whiteout',
      'opaque',
    ] as const),
  ),
  path: names,
  other: names,
  uid: fc.integer({ min: 1, max: 9 }),
})

test('random layers make the tree that the rules of OCI say', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-layers-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await using writer = await createErofsWriter(join(folder, 'image'))
  let steps = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { maxLength: 25 }), { minLength: 1, maxLength: 4 }),
      async layers => {
        const model = new Model()
        // What the model refuses is left out: an image ends at its first entry that is refused.
        const valid = layers.map(layer => {
          model.beginLayer()
          return layer.filter(each => model.apply(each))
        })
        steps += valid.flat().length
        assert.deepEqual(flatten(await merge(valid, writer)), model.tree)
      },
    ),
    { numRuns: 500 },
  )
  t.diagnostic(`${steps} steps`)
})

/** Every path in one map, and the rules as they are written down: slow, and easy to believe. */
class Model {
  readonly #nodes = new Map<string, Known>()
  #touched = new Set<string>()

  beginLayer(): void {
    this.#touched = new Set()
  }

  get tree(): Map<string, Known> {
    return new Map([...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** False, and nothing done, for a step that must be refused. */
  apply({ action, path, other, uid }: Step): boolean {
    const key = path.join('/')
    const parents = path.slice(0, -1).map((_, index) => path.slice(0, index + 1).join('/'))
    if (action === 'whiteout') return this.#hide(name => name === key || name.startsWith(`${key}/`))
    if (action === 'opaque') return this.#hide(name => name.startsWith(`${key}/`))
    if (parents.some(parent => (this.#nodes.get(parent)?.kind ?? 'directory') !== 'directory')) return false

    const target = other.join('/')
    const linked = action === 'link' ? this.#nodes.get(target) : undefined
    const isGone = target === key || target.startsWith(`${key}/`)
    if (action === 'link' && (isGone || linked === undefined || linked.kind === 'directory')) return false

    for (const parent of parents) {
      if (!this.#nodes.has(parent)) this.#nodes.set(parent, { kind: 'directory', uid: 0 })
      this.#touched.add(parent)
    }
    const staysDirectory = action === 'directory' && this.#nodes.get(key)?.kind === 'directory'
    if (!staysDirectory)
      for (const name of [...this.#nodes.keys()])
        if (name === key || name.startsWith(`${key}/`)) this.#nodes.delete(name)
    this.#nodes.set(key, linked ?? { kind: action === 'link' ? 'file' : action, uid })
    this.#touched.add(key)
    return true
  }

  /** Of lower layers: what this one has stays. */
  #hide(isHidden: (name: string) => boolean): true {
    for (const name of [...this.#nodes.keys()])
      if (isHidden(name) && !this.#touched.has(name)) this.#nodes.delete(name)
    return true
  }
}

async function merge(layers: readonly (readonly Step[])[], writer: ErofsWriter): Promise<Tree> {
  const budget = new Budget(defaultLayerLimits)
  const tree = new LayerTree(budget)
  for (const layer of layers) {
    const growing = { tree, writer, budget, checkAborted: () => {} }
    for await (const entry of readTar(inChunks(tarArchive(layer.map(toItem)), 4096)))
      await applyEntry(entry, growing)
    tree.endLayer()
  }
  return tree.merged
}

function toItem({ action, path, other, uid }: Step): TarItem {
  const key = path.join('/')
  switch (action) {
    case 'file':
      return { path: key, content: key, uid }
    case 'directory':
      return { path: key, flag: '5', uid }
    case 'symlink':
      // Never followed: to a step through it the model says no, as for a file.
      return { path: key, flag: '2', linkPath: '/missing', uid }
    case 'link':
      return { path: key, flag: '1', linkPath: other.join('/') }
    case 'whiteout':
      return { path: [...path.slice(0, -1), `.wh.${path.at(-1)}`].join('/') }
    case 'opaque':
      return { path: `${key}/.wh..wh..opq` }
  }
}

function flatten({ inodes, names, root }: Tree): Map<string, Known> {
  const found = new Map<string, Known>()
  const visit = (node: number, path: string): void => {
    const kind = inodes.kind(node)
    assert.ok(kind === 'file' || kind === 'directory' || kind === 'symlink')
    if (path !== '') found.set(path, { kind, uid: inodes.uid(node) })
    if (kind !== 'directory') return
    for (const name of names.list(node))
      visit(names.node(name), path === '' ? names.text(name) : `${path}/${names.text(name)}`)
  }
  visit(root, '')
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

test('a thousand opaque whiteouts over ten thousand entries take no time', async () => {
  // Bounded by steps and not by a clock: what is searched twice would be searched ten million times.
  const tree = new LayerTree(new Budget(defaultLayerLimits))
  const attributes = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }
  tree.endLayer()
  for (let index = 0; index < 10_000; index++)
    tree.putDirectory(tree.makeRoom(['d', `${index}`], true), attributes)
  const { names } = tree.merged
  let searched = 0
  const list = names.list.bind(names)
  names.list = directory => {
    if (directory === tree.find(['d'])) searched += 1
    return list(directory)
  }
  for (let index = 0; index < 1000; index++) tree.makeOpaque(['d'])
  assert.equal(searched, 1)
  assert.equal([...list(tree.find(['d']))].length, 10_000)
})

test('the way to the last parent is found anew when something on it was replaced', async () => {
  const tree = new LayerTree(new Budget(defaultLayerLimits))
  const attributes = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }
  const link = (target: string) => ({ ...attributes, kind: 'symlink' as const, target: Buffer.from(target) })
  tree.put(tree.makeRoom(['l'], false), link('x'))
  tree.putDirectory(tree.makeRoom(['l', 'first'], true), attributes)
  tree.put(tree.makeRoom(['l'], false), link('y'))
  tree.putDirectory(tree.makeRoom(['l', 'second'], true), attributes)
  assert.deepEqual(
    ['x/first', 'x/second', 'y/first', 'y/second'].map(path => tree.find(path.split('/')) !== 0),
    [true, false, false, true],
  )
  assert.throws(
    () => tree.makeRoom(['l', 'second', 'z'.repeat(300), 'f'], false),
    error => isCofferError(error, 'invalid_argument'),
  )
})
