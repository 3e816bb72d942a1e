import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { isCofferError } from '../../errors.ts'
import { type DecompressOptions, decompress } from './decompress.ts'
import { inChunks } from './tar-fixture.ts'

const oci = 'application/vnd.oci.image.layer.v1.tar'

async function read(bytes: Buffer, chunk = 1000, options: Partial<DecompressOptions> = {}): Promise<Buffer> {
  const { stream, digest } = decompress(inChunks(bytes, chunk), { maxBytes: 1 << 28, ...options })
  const chunks: Uint8Array[] = []
  for await (const piece of stream) chunks.push(piece)
  const all = Buffer.concat(chunks)
  assert.equal(digest(), `sha256:${createHash('sha256').update(all).digest('hex')}`)
  return all
}

const refuses = (bytes: Buffer, reason: string, options: Partial<DecompressOptions> = {}): Promise<void> =>
  assert.rejects(
    read(bytes, 1000, options),
    error => isCofferError(error, 'invalid_argument') && error.details['reason'] === reason,
  )

// Neither repetitive nor random: four bits of chance in each byte.
let state = 1
const content = Buffer.from(
  Array.from({ length: 700_000 }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return 0x61 + ((state >> 20) % 16)
  }),
)
const half = content.subarray(0, 300_001)
const rest = content.subarray(300_001)
const skippable = Buffer.concat([Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0]), Buffer.from('abc')])
const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }

test('gzip, zstd and plain data come whole in chunks of any size', async () => {
  const forms = [
    content,
    gzipSync(content),
    Buffer.concat([gzipSync(half), gzipSync(Buffer.alloc(0)), gzipSync(rest)]),
    Buffer.concat([gzipSync(content), Buffer.alloc(600)]),
    zstdCompressSync(content),
    Buffer.concat([
      skippable,
      zstdCompressSync(half, checked),
      skippable,
      zstdCompressSync(Buffer.alloc(0)),
      zstdCompressSync(rest),
    ]),
    Buffer.concat([zstdCompressSync(content), skippable]),
  ]
  for (const [index, form] of forms.entries())
    for (const chunk of [7, 4096, 100_000, form.length])
      assert.ok((await read(form, chunk)).equals(content), `form ${index} in chunks of ${chunk}`)
  for (const empty of ['', 'a', 'abc']) assert.equal((await read(Buffer.from(empty))).toString(), empty)
})

test('a thousand frames take one decoder', async () => {
  const frames = Array.from({ length: 1000 }, (_, index) => zstdCompressSync(Buffer.from(`frame ${index}\n`)))
  assert.equal((await read(Buffer.concat(frames))).toString().split('\n').length, 1001)
})

test('data that is cut short or damaged is refused', async () => {
  for (const packed of [gzipSync(content), zstdCompressSync(content, checked)]) {
    for (const cut of [5, 100, packed.length - 1]) await refuses(packed.subarray(0, cut), 'truncated')
    // Damage may well look like an early end.
    const damaged = Buffer.from(packed).fill(0x55, packed.length >> 1, (packed.length >> 1) + 20)
    await assert.rejects(read(damaged), error => isCofferError(error, 'invalid_argument'))
  }
  const wrongSum = Buffer.from(gzipSync(content))
  wrongSum.writeUInt32LE(1, wrongSum.length - 8)
  await refuses(wrongSum, 'damaged')
  const rubbish = Buffer.from('rubbish')
  await refuses(Buffer.concat([gzipSync(content), rubbish]), 'damaged')
  await refuses(Buffer.concat([zstdCompressSync(content), rubbish]), 'damaged')
})

test('data that is not what the media type says is refused', async () => {
  const packed = { '': content, '+gzip': gzipSync(content), '+zstd': zstdCompressSync(content) }
  for (const [suffix, bytes] of Object.entries(packed))
    for (const said of Object.keys(packed)) {
      const reading = read(bytes, 1000, { mediaType: oci + said })
      if (suffix === said) assert.ok((await reading).equals(content))
      else
        await assert.rejects(
          reading,
          error => isCofferError(error, 'invalid_argument') && /media type/.test(error.message),
        )
    }
  for (const mediaType of [`${oci}+gzip+encrypted`, 'application/vnd.oci.image.manifest.v1+json', ''])
    await assert.rejects(read(content, 1000, { mediaType }), error => isCofferError(error, 'unsupported'))
})

test('decompressed data ends at the limit', async () => {
  for (const bytes of [content, gzipSync(content), zstdCompressSync(content)]) {
    assert.ok((await read(bytes, 1000, { maxBytes: content.length })).equals(content))
    await assert.rejects(read(bytes, 1000, { maxBytes: content.length - 1 }), error =>
      isCofferError(error, 'resource_exhausted'),
    )
  }
})

test('a frame that wants more than 128 MiB of memory is refused before it gets any', async () => {
  const frame = Buffer.from(zstdCompressSync(content, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } }))
  assert.equal((frame[4] ?? 0) & 0x20, 0)
  frame[5] = ((28 - 10) << 3) | 0
  await assert.rejects(
    read(frame),
    error => isCofferError(error, 'resource_exhausted') && error.details['bytes'] === 2 ** 28,
  )
  frame[5] = (27 - 10) << 3
  assert.ok((await read(frame)).equals(content))
})

test('what the source throws comes out, and leaving early closes it', async () => {
  for (const bytes of [content, gzipSync(content), zstdCompressSync(content)]) {
    const broken = new Error('the cable')
    let closed = false
    async function* source(fails: boolean): AsyncGenerator<Uint8Array> {
      try {
        yield bytes.subarray(0, 1 << 18)
        if (fails) throw broken
        yield bytes.subarray(1 << 18)
      } finally {
        closed = true
      }
    }
    const drain = async (fails: boolean): Promise<void> => {
      for await (const _ of decompress(source(fails), { maxBytes: 1 << 28 }).stream) if (!fails) break
    }
    await assert.rejects(drain(true), error => error === broken)
    closed = false
    await drain(false)
    assert.ok(closed)
  }
})

test('the digest can be SHA-512', async () => {
  const { stream, digest } = decompress(inChunks(content, 1000), { maxBytes: 1 << 28, algorithm: 'sha512' })
  for await (const _ of stream);
  assert.equal(digest(), `sha512:${createHash('sha512').update(content).digest('hex')}`)
})
