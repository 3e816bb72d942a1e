import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { checkImage } from '../../erofs/image-fixture.ts'
import { isCofferError } from '../../errors.ts'
import { mergeLayers } from './merge.ts'
import { readTar } from './tar.ts'
import { inChunks, paxRecord, type TarItem, tarArchive, withChecksum } from './tar-fixture.ts'

const runs = (usual: number): { numRuns: number; interruptAfterTimeLimit?: number } => ({
  numRuns: Number(process.env['COFFER_FUZZ_RUNS'] ?? usual),
})

/** Something of everything a reader has code for. */
const good: readonly TarItem[] = [
  { path: 'g', flag: 'g', content: Buffer.concat([paxRecord('uid', '7'), paxRecord('comment', 'x')]) },
  { path: 'd/', flag: '5', mode: 0o755, pax: { mtime: '1700000000.5', 'SCHILY.xattr.user.x': 'y' } },
  { path: 'd/f', content: 'content'.repeat(200) },
  { path: '././@LongLink', flag: 'L', content: `${'long/'.repeat(40)}name\0` },
  { path: 'long', content: 'x', magic: 'gnu' },
  { path: 'd/l', flag: '2', linkPath: '../d' },
  { path: 'd/l/h', flag: '1', linkPath: 'd/f' },
  { path: 'sparse', content: 'data', pax: { 'GNU.sparse.map': '100,2,500,2', 'GNU.sparse.size': '5000' } },
  {
    path: 'sparse1',
    content: `${'2\n0\n2\n700\n2\n'.padEnd(512, '\0')}data`,
    pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9000' },
  },
  { path: 'old', flag: 'S', magic: 'gnu', content: 'abcd', patch: sparseHeader },
  { path: 'c', flag: '3', major: 1, minor: 3, uid: 70_000_000 },
  { path: '.wh.gone' },
  { path: 'd/.wh..wh..opq' },
]

function sparseHeader(header: Buffer): void {
  header.write('00000000000\x0000000000004\0', 386, 'latin1')
  header.write('00000001000\0', 483, 'latin1')
}

const archive = tarArchive(good)

/** What a fuzzer without coverage needs to come past the checksum: most changes go into headers, which are summed anew. */
type Change = {
  readonly kind: 'byte' | 'text' | 'number' | 'cut' | 'repeat' | 'drop'
  readonly block: number
  readonly at: number
  readonly value: number
  readonly resum: boolean
}
const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom(...(['byte', 'byte', 'text', 'number', 'cut', 'repeat', 'drop'] as const)),
  block: fc.nat(archive.length / 512 - 1),
  at: fc.oneof(
    fc.nat(511),
    fc.constantFrom(100, 108, 124, 125, 135, 148, 156, 157, 257, 345, 386, 398, 482, 483),
  ),
  value: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x20, 0x2f, 0x30, 0x37, 0x38, 0x7f, 0x80, 0xff)),
  resum: fc.boolean(),
})
const texts = [
  '9'.repeat(20),
  '/../..',
  '.wh.',
  '77777777777',
  '-1',
  '\0\0\0',
  ' '.repeat(12),
  '\x80',
  'GNU.sparse.',
  '0,'.repeat(9),
]

function mutate(changes: readonly Change[]): Buffer {
  let bytes: Buffer = Buffer.from(archive)
  for (const { kind, block, at, value, resum } of changes) {
    const start = Math.min(block * 512, bytes.length)
    const header = bytes.subarray(start, start + 512)
    if (kind === 'cut') bytes = bytes.subarray(0, start + (resum ? 0 : at))
    else if (kind === 'repeat') bytes = Buffer.concat([bytes.subarray(0, start + 512), bytes.subarray(start)])
    else if (kind === 'drop') bytes = Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + 512)])
    else if (header.length === 512) {
      if (kind === 'byte') header[at] = value
      else if (kind === 'text') header.write(texts[value % texts.length] ?? '', at, 'latin1')
      else header.write(`${value.toString(8).padStart(11, value & 1 ? ' ' : '0')}\0`, at & ~3, 'latin1')
      if (resum && header.toString('latin1', 257, 262) === 'ustar') withChecksum(header)
    }
  }
  return bytes
}

/** True for the end, false for an error of ours; anything else comes out. */
async function endsWell(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (isCofferError(error) && error.code !== 'internal') return false
    throw error
  }
}

async function readAll(bytes: Buffer, chunk: number): Promise<void> {
  for await (const { content, size } of readTar(inChunks(bytes, chunk))) {
    if (content instanceof Uint8Array) assert.equal(content.length, size)
    // Holes may have any size: what is checked is that what comes is bounded by what was said.
    else if (size < 1 << 24) {
      let sum = 0
      for await (const piece of content) sum += piece.length
      assert.equal(sum, size)
    }
  }
}

test('the good archive is one', async () => {
  await readAll(archive, 100)
})

test('any bytes are read to their end or refused', async () => {
  const block = fc.uint8Array({ minLength: 512, maxLength: 512 }).map(bytes => {
    const header = Buffer.from(bytes)
    header.write('ustar', 257)
    header.fill('0', 100, 148)
    return withChecksum(header)
  })
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.array(block, { maxLength: 4 }).map(blocks => Buffer.concat(blocks)),
  )
  await fc.assert(
    fc.asyncProperty(bytes, fc.integer({ min: 1, max: 2000 }), async (random, chunk) => {
      await endsWell(() => readAll(Buffer.from(random), chunk))
    }),
    runs(2000),
  )
})

test('changed archives are read to their end or refused', async t => {
  let whole = 0
  let total = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 9000 }),
      async (changes, chunk) => {
        total += 1
        if (await endsWell(() => readAll(mutate(changes), chunk))) whole += 1
      },
    ),
    runs(3000),
  )
  t.diagnostic(`${whole} of ${total} were still archives`)
})

test('changed layers, packed in any way, become an image that checks or nothing', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-layers-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const pack = {
    none: (bytes: Buffer) => bytes,
    gzip: (bytes: Buffer) => gzipSync(bytes),
    zstd: (bytes: Buffer) => zstdCompressSync(bytes),
  }
  const layer = fc.record({
    changes: fc.array(change, { maxLength: 3 }),
    packing: fc.constantFrom(...(['none', 'gzip', 'zstd'] as const)),
    // Of the packed bytes: most of the time none.
    flips: fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { maxLength: 1 }),
    flip: fc.integer({ min: 0, max: 3 }).map(value => value === 0),
  })
  let images = 0
  await fc.assert(
    fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 3 }), async layers => {
      const sources = layers.map(({ changes, packing, flips, flip }) => {
        const bytes = Buffer.from(pack[packing](mutate(changes)))
        if (flip) for (const [at, value] of flips) bytes[at % bytes.length] = value
        return {
          diffId: undefined,
          mediaType: undefined,
          bytes: bytes.length,
          open: () => inChunks(bytes, 3000),
        }
      })
      const image = join(folder, 'image')
      // A hole of a sparse file can have any size up to the limit.
      const limits = { maxBytes: 1 << 26 }
      if (await endsWell(() => mergeLayers(sources, image, { limits, mountPoints: true }))) {
        images += 1
        await checkImage(image)
        await rm(image)
      }
      assert.deepEqual(await readdir(folder), [])
    }),
    runs(300),
  )
  t.diagnostic(`${images} became images`)
})
