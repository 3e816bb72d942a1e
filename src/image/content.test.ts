import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDirectory } from '../../test/scratch.ts'
import { isCofferError } from '../errors.ts'
import { type Home, openHome } from '../state/home.ts'
import { ContentStore } from './content.ts'
import { digestOf } from './digest.ts'

function openStore(): Disposable & { readonly store: ContentStore; readonly home: Home } {
  const scratch = scratchDirectory('content')
  const home = openHome(scratch.path)
  return { store: new ContentStore(home), home, [Symbol.dispose]: () => scratch[Symbol.dispose]() }
}

async function* pieces(...all: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* all
}

async function read(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const fails = (code: string, reason?: string) => (error: unknown) =>
  isCofferError(error) && error.code === code && error.details['reason'] === reason

const maxBytes = 1 << 20

test('what is written is there by its digest, whole, in both algorithms', async () => {
  using opened = openStore()
  const { store } = opened
  const bytes = randomBytes(700_000)
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const digest = digestOf(bytes, algorithm)
    let counted = 0
    const source = pieces(bytes.subarray(0, 10), bytes.subarray(10, 300_000), bytes.subarray(300_000))
    const written = await store.write(
      source,
      { digest, bytes: bytes.length, maxBytes },
      { onBytes: count => (counted += count) },
    )
    assert.deepEqual(written, { digest, bytes: bytes.length })
    assert.equal(counted, bytes.length)
    assert.deepEqual(await read(store.open(digest)), bytes)
    assert.deepEqual(await read(store.open(digest, { offset: 699_990 })), bytes.subarray(699_990))
    assert.equal(statSync(store.path(digest)).mode & 0o777, 0o600)
  }
  assert.equal(store.list().length, 2)
})

test('wrong bytes, too many, too few or a source that fails leave nothing', async () => {
  using opened = openStore()
  const { store, home } = opened
  const bytes = Buffer.from('content')
  const digest = digestOf(bytes)
  const other = Buffer.from('CONTENT')
  await assert.rejects(
    store.write(pieces(other), { digest, maxBytes }),
    fails('image_pull_failed', 'digest_mismatch'),
  )
  await assert.rejects(
    store.write(pieces(bytes), { bytes: 6, maxBytes }),
    fails('image_pull_failed', 'digest_mismatch'),
  )
  await assert.rejects(store.write(pieces(bytes), { maxBytes: 6 }), fails('resource_exhausted'))
  const failing = async function* () {
    yield bytes
    throw new Error('the source failed')
  }
  await assert.rejects(store.write(failing(), { maxBytes }), /the source failed/)
  await assert.rejects(
    store.write(pieces(bytes), { maxBytes }, { signal: AbortSignal.abort() }),
    fails('aborted'),
  )
  assert.deepEqual(store.list(), [])
  assert.deepEqual(readdirSync(home.temporary), [])
})

test('bytes that were changed on the disk are noticed when a small blob is read', async () => {
  using opened = openStore()
  const { store } = opened
  const { digest } = await store.writeBytes(Buffer.from('content'))
  assert.equal(store.read(digest, 100).toString(), 'content')
  assert.throws(() => store.read(digest, 6), fails('resource_exhausted'))
  chmodSync(store.path(digest), 0o600)
  writeFileSync(store.path(digest), 'CONTENT')
  assert.throws(() => store.read(digest, 100), fails('storage_error'))
  store.remove(digest)
  assert.throws(() => store.read(digest, 100), fails('not_found'))
  await assert.rejects(read(store.open(digest)), fails('not_found'))
})

test('a download goes on where another one ended, and is a blob only when it is finished', async () => {
  using opened = openStore()
  const { store } = opened
  const bytes = randomBytes(2_500_000)
  const digest = digestOf(bytes)
  const expected = { digest, size: bytes.length }
  {
    await using first = await store.resume(expected)
    await first.append(bytes.subarray(0, 1_500_000))
  }
  assert.equal(store.has(digest), false)
  assert.equal(store.partialBytes(digest), 1_500_000)
  assert.deepEqual(store.listPartial(), [{ digest, bytes: 1_500_000 }])
  {
    await using second = await store.resume(expected)
    assert.equal(second.resumedBytes, 1_500_000)
    second.verifier.update(bytes.subarray(1_500_000))
    await second.append(bytes.subarray(1_500_000))
    second.verifier.verify()
    await second.finish()
  }
  assert.deepEqual(await read(store.open(digest)), bytes)
  assert.deepEqual(store.listPartial(), [])
})

test('a partial file that is longer than the blob is begun anew', async () => {
  using opened = openStore()
  const { store } = opened
  const expected = { digest: digestOf(Buffer.from('abc')), size: 3 }
  {
    await using first = await store.resume(expected)
    await first.append(Buffer.from('abcdef'))
  }
  await using second = await store.resume(expected)
  assert.equal(second.resumedBytes, 0)
  assert.equal(store.partialBytes(expected.digest), 0)
})

test('only blobs are listed, whatever else lies there', async () => {
  using opened = openStore()
  const { store, home } = opened
  const { digest } = await store.writeBytes(Buffer.from('x'))
  for (const name of ['README', 'abc', `${'0'.repeat(63)}G`, '.partial'])
    writeFileSync(join(home.images, 'blobs', 'sha256', name), 'y')
  assert.deepEqual(store.list(), [{ digest, bytes: 1 }])
  assert.deepEqual(store.listPartial(), [])
})
