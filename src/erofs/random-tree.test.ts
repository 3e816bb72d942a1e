import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Attributes } from './attributes.ts'
import {
  checkImage,
  chooseViewer,
  makeDirectory,
  type Seen,
  survey,
  type Viewer,
  withImage,
} from './image-fixture.ts'
import type { LeafNode } from './node.ts'
import { createTree, link, makeDirectory as mkdir, put, remove } from './tree.ts'
import { createErofsWriter } from './writer.ts'

type Step = {
  readonly action: 'directory' | 'file' | 'symlink' | 'device' | 'pipe' | 'link' | 'remove'
  /** Picks a directory to work in, and a file to link to or a path to remove, among those there are. */
  readonly pick: number
  readonly name: Uint8Array
  readonly attributes: Attributes
  readonly size: number
  readonly chunk: number
  readonly target: Uint8Array
  readonly major: number
  readonly minor: number
  readonly variant: boolean
}

// What the tree should hold, kept apart from its implementation: paths, where links share one object.
type Expected = { readonly node: Omit<Seen, 'links'> }

const nameByte = fc
  .oneof(fc.constantFrom(0x21, 0x2d, 0x61, 0xff), fc.integer({ min: 1, max: 255 }))
  .filter(byte => byte !== 0x2f)
const nameArb = fc
  .oneof(
    {
      weight: 6,
      arbitrary: fc.uint8Array({ minLength: 1, maxLength: 6 }).map(bytes => bytes.map(byte => byte || 0x62)),
    },
    {
      weight: 1,
      arbitrary: fc.array(nameByte, { minLength: 250, maxLength: 255 }).map(bytes => Uint8Array.from(bytes)),
    },
  )
  .map(bytes => bytes.map(byte => (byte === 0x2f ? 0x5f : byte)))
  .filter(bytes => !['.', '..'].includes(Buffer.from(bytes).toString('latin1')))

const xattrName = fc
  .tuple(
    fc.constantFrom('user.', 'trusted.', 'security.coffer.'),
    fc.stringMatching(/^[a-z_][a-z0-9_.]{0,200}$/),
  )
  .map(([prefix, suffix]) => prefix + suffix)
const xattrValue = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 0, max: 9000 }).map(size => new Uint8Array(size).fill(size)),
)
const xattrsArb = fc.option(
  fc.array(fc.tuple(xattrName, xattrValue), { maxLength: 5 }).map(pairs => new Map(pairs)),
  { nil: undefined },
)

const attributesArb: fc.Arbitrary<Attributes> = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  // 2^32 - 1 is "no owner" to Linux, which shows another one.
  uid: fc.oneof(fc.constantFrom(0, 65_535, 65_536), fc.integer({ min: 0, max: 0xffff_fffe })),
  gid: fc.integer({ min: 0, max: 0xffff_fffe }),
  mtimeSeconds: fc.integer({ min: -2_000_000_000, max: 10_000_000_000 }),
  mtimeNanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  xattrs: xattrsArb,
})

const stepArb: fc.Arbitrary<Step> = fc.record({
  action: fc.constantFrom(
    'directory',
    'directory',
    'file',
    'file',
    'file',
    'symlink',
    'device',
    'pipe',
    'link',
    'remove',
  ),
  pick: fc.nat(),
  name: nameArb,
  attributes: attributesArb,
  size: fc.oneof(fc.integer({ min: 0, max: 4100 }), fc.integer({ min: 4000, max: 70_000 })),
  chunk: fc.integer({ min: 1, max: 9000 }),
  target: fc
    .oneof(
      fc.uint8Array({ minLength: 1, maxLength: 50 }),
      fc.uint8Array({ minLength: 3900, maxLength: 4095 }),
    )
    .map(bytes => bytes.map(byte => byte || 1)),
  major: fc.integer({ min: 0, max: 0xfff }),
  minor: fc.integer({ min: 0, max: 0xf_ffff }),
  variant: fc.boolean(),
})

test('what was put into a tree is what Linux shows of its image', async t => {
  const viewer = await chooseViewer(t)
  if (viewer === undefined) return
  const folder = await makeDirectory(t)
  let run = 0
  await fc.assert(
    fc.asyncProperty(attributesArb, fc.array(stepArb, { maxLength: 60 }), async (root, steps) => {
      const image = join(folder, `${run++}`)
      const expected = await writeSteps(
        image,
        root,
        steps.filter(step => viewer === 'mount' || step.action !== 'device'),
        viewer,
      )
      await checkImage(image)
      const seen = await withImage(image, viewer, path => survey(path, viewer))
      assert.deepEqual(
        new Map([...seen].sort(byPath)),
        new Map([...withLinks(expected, viewer)].sort(byPath)),
      )
    }),
    // The limit is for shrinking: each attempt mounts an image.
    { numRuns: 60, interruptAfterTimeLimit: 25_000, markInterruptAsFailure: false },
  )
})

async function writeSteps(
  image: string,
  rootAttributes: Attributes,
  steps: readonly Step[],
  viewer: Viewer,
): Promise<Map<string, Expected>> {
  const writer = await createErofsWriter(image)
  const root = createTree(allow(rootAttributes, viewer))
  const model = new Map<string, Expected>([['', expect(0o040000, allow(rootAttributes, viewer), viewer)]])
  for (const step of steps) {
    const attributes = allow(step.attributes, viewer)
    const parent = pickFrom(model, step.pick, ({ node }) => isDirectory(node))
    if (parent === undefined) continue
    const path = `${parent === '' ? '' : `${parent}/`}${Buffer.from(step.name).toString('latin1')}`
    const bytes = Buffer.from(path, 'latin1')
    if (bytes.length > 3000) continue
    if (step.action === 'remove') {
      const victim = pickFrom(model, step.pick, (_, candidate) => candidate !== '')
      if (victim === undefined) continue
      assert.ok(remove(root, Buffer.from(victim, 'latin1')))
      forget(model, victim)
    } else if (step.action === 'link') {
      const source = pickFrom(model, step.pick, ({ node }) => !isDirectory(node))
      const found = source === undefined ? undefined : model.get(source)
      if (source === undefined || found === undefined) continue
      link(root, Buffer.from(source, 'latin1'), bytes)
      forget(model, path)
      model.set(path, found)
    } else if (step.action === 'directory') {
      mkdir(root, bytes, attributes)
      if (!isDirectory(model.get(path)?.node)) forget(model, path)
      model.set(path, expect(0o040000, attributes, viewer))
    } else {
      const content = Buffer.alloc(step.size, step.name)
      const [node, seen] = await makeLeaf(step, attributes, content, viewer, () =>
        writer.addFile(chunksOf(content, step.chunk)),
      )
      put(root, bytes, node)
      forget(model, path)
      model.set(path, seen)
    }
  }
  const { inodes } = await writer.finish(root)
  assert.equal(inodes, new Set(model.values()).size)
  return model
}

async function makeLeaf(
  step: Step,
  attributes: Attributes,
  content: Buffer,
  viewer: Viewer,
  add: () => ReturnType<Awaited<ReturnType<typeof createErofsWriter>>['addFile']>,
): Promise<[LeafNode, Expected]> {
  const { target, major, minor, variant } = step
  switch (step.action) {
    case 'symlink':
      return [
        { ...attributes, kind: 'symlink', target },
        expect(0o120000, { ...attributes, mode: viewer === 'mount' ? attributes.mode : 0o777 }, viewer, {
          target: Buffer.from(target).toString('latin1'),
        }),
      ]
    case 'device':
      return [
        { ...attributes, kind: variant ? 'block_device' : 'character_device', major, minor },
        expect(variant ? 0o060000 : 0o020000, attributes, viewer, {
          device: deviceNumber(major, minor).toString(16),
        }),
      ]
    case 'pipe':
      return [
        { ...attributes, kind: variant ? 'fifo' : 'socket' },
        expect(variant ? 0o010000 : 0o140000, attributes, viewer),
      ]
    default:
      return [
        { ...attributes, kind: 'file', content: await add() },
        expect(0o100000, attributes, viewer, { content }),
      ]
  }
}

function expect(type: number, attributes: Attributes, viewer: Viewer, data: Partial<Seen> = {}): Expected {
  const mounted = viewer === 'mount'
  // Linux keeps user attributes of anything but files and directories to itself.
  const plain = type === 0o100000 || type === 0o040000
  const xattrs = [...(attributes.xattrs ?? [])]
    .filter(([name]) => plain || !name.startsWith('user.'))
    .map(([name, value]) => [name, Buffer.from(value).toString('hex')] as const)
  return {
    node: {
      mode: type | attributes.mode,
      uid: mounted ? attributes.uid : undefined,
      gid: mounted ? attributes.gid : undefined,
      mtime: BigInt(attributes.mtimeSeconds) * 1_000_000_000n + BigInt(attributes.mtimeNanoseconds),
      device: data.device,
      target: data.target,
      content: data.content,
      xattrs: mounted ? Object.fromEntries(xattrs) : undefined,
    },
  }
}

function withLinks(model: ReadonlyMap<string, Expected>, viewer: Viewer): [string, Seen][] {
  return [...model].map(([path, expected]) => {
    const prefix = path === '' ? '' : `${path}/`
    const names = [...model].filter(([, other]) => other === expected).length
    const subdirectories = [...model].filter(
      ([other, { node }]) =>
        other !== '' &&
        isDirectory(node) &&
        other.startsWith(prefix) &&
        !other.slice(prefix.length).includes('/'),
    ).length
    const links = isDirectory(expected.node) ? 2 + subdirectories : names
    return [path, { ...expected.node, links: viewer === 'mount' ? links : undefined }]
  })
}

// An extracted directory is only readable with these bits.
const allow = (attributes: Attributes, viewer: Viewer): Attributes =>
  viewer === 'mount' ? attributes : { ...attributes, mode: (attributes.mode & 0o777) | 0o700 }

const isDirectory = (node: Omit<Seen, 'links'> | undefined): boolean =>
  node !== undefined && (node.mode & 0o170000) === 0o040000

const byPath = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0

// gnu_dev_makedev, which is what stat shows.
const deviceNumber = (major: number, minor: number): bigint =>
  (BigInt(minor) & 0xffn) | ((BigInt(major) & 0xfffn) << 8n) | ((BigInt(minor) & ~0xffn) << 12n)

function pickFrom(
  model: ReadonlyMap<string, Expected>,
  pick: number,
  fits: (expected: Expected, path: string) => boolean,
): string | undefined {
  const paths = [...model].filter(([path, expected]) => fits(expected, path)).map(([path]) => path)
  return paths[pick % paths.length]
}

function forget(model: Map<string, Expected>, path: string): void {
  for (const other of [...model.keys()])
    if (other === path || other.startsWith(`${path}/`)) model.delete(other)
}

async function* chunksOf(content: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size)
}
