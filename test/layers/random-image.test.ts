import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { type TarItem, tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { scratchDirectory } from '../scratch.ts'
import { writeLayout } from './layout.ts'
import { canCompare, compareWithUmoci } from './reference.ts'

// Few names, so that entries, links and whiteouts meet.
const name = fc.constantFrom('a', 'b', 'c', 'dir', 'lib')
const path = fc
  .array(fc.oneof({ weight: 12, arbitrary: name }, { weight: 1, arbitrary: fc.constant('..') }), {
    minLength: 1,
    maxLength: 4,
  })
  .map(names => names.join('/'))
const target = fc.oneof(
  path,
  path.map(text => `/${text}`),
  path.map(text => `../${text}`),
)
const attributes = fc.record({
  // Without setgid: in such a directory the host's mkdir makes what nobody asked for.
  mode: fc.integer({ min: 0, max: 0o7777 }).map(mode => mode & ~0o2000),
  uid: fc.constantFrom(0, 1000, 70_000),
  mtime: fc.integer({ min: 1, max: 2_000_000_000 }),
})

const item: fc.Arbitrary<TarItem> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(path, attributes, fc.string())
      .map(([at, more, content]) => ({ path: at, ...more, content })),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(path, attributes).map(([at, more]) => ({ path: at, flag: '5', ...more })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(path, target).map(([at, linkPath]) => ({ path: at, flag: '2', linkPath })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(path, target).map(([at, linkPath]) => ({ path: at, flag: '1', linkPath })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(path, attributes).map(([at, more]) => ({ path: at, flag: '6', ...more })),
  },
  { weight: 3, arbitrary: fc.tuple(path, name).map(([at, hidden]) => ({ path: `${at}/.wh.${hidden}` })) },
  { weight: 1, arbitrary: name.map(hidden => ({ path: `.wh.${hidden}` })) },
  { weight: 2, arbitrary: path.map(at => ({ path: `${at}/.wh..wh..opq` })) },
)

// Short: one entry that no tree could hold, and the rest of the image is not looked at.
const layers = fc.array(fc.array(item, { maxLength: 7 }), { minLength: 1, maxLength: 4 })

test('of random layers both umoci and this make the same tree, or neither makes one', async t => {
  if (!(await canCompare(t))) return
  using scratch = scratchDirectory('umoci')
  let number = 0
  let trees = 0
  await fc.assert(
    fc.asyncProperty(layers, async random => {
      const at = join(scratch.path, `${number++}`)
      const layout = writeLayout(
        `${at}-layout`,
        random.map(items => ({ tar: tarArchive(items) })),
      )
      const { refused } = await compareWithUmoci(at, layout)
      if (!refused) trees += 1
    }),
    { numRuns: Number(process.env['COFFER_FUZZ_RUNS'] ?? 150) },
  )
  t.diagnostic(`${trees} of ${number} images were valid`)
})
