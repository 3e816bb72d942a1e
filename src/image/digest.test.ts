import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCofferError } from '../errors.ts'
import {
  type Digest,
  DigestVerifier,
  digestHex,
  digestOf,
  isDigest,
  parseDigest,
  verified,
} from './digest.ts'

test('a digest is sha256 or sha512 with as many hexadecimal digits in lower case', () => {
  for (const good of [`sha256:${'0a'.repeat(32)}`, `sha512:${'0a'.repeat(64)}`]) {
    assert.equal(parseDigest(good), good)
    assert.equal(digestHex(parseDigest(good)), good.slice(7))
  }
  const hex = 'a'.repeat(64)
  for (const bad of [
    '',
    hex,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${hex}a`,
    `sha512:${hex}`,
    `md5:${hex}`,
    `sha256:${hex}\n`,
    `sha256:../${hex.slice(3)}`,
  ]) {
    assert.equal(isDigest(bad), false)
    assert.throws(
      () => parseDigest(bad),
      error => isCofferError(error, 'invalid_argument'),
    )
  }
})

test('bytes pass a verifier in any pieces if they are what was announced', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array()),
      fc.constantFrom('sha256', 'sha512'),
      async (chunks, algorithm) => {
        const bytes = Buffer.concat(chunks)
        const expected = { digest: digestOf(bytes, algorithm), size: bytes.length }
        assert.equal(expected.digest, `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`)
        assert.deepEqual(await passed(chunks, expected), bytes)
      },
    ),
  )
})

test('one byte that is another, missing or too many is an image_pull_failed', async () => {
  const bytes = Buffer.from('the content')
  const expected = { digest: digestOf(bytes), size: bytes.length }
  for (const other of ['the cOntent', 'the conten', 'the content!', ''])
    await assert.rejects(passed([Buffer.from(other)], expected), error =>
      isCofferError(error, 'image_pull_failed'),
    )
  // The digest of more bytes than were announced is no help.
  const longer = Buffer.from('the content!')
  await assert.rejects(passed([longer], { digest: digestOf(longer), size: bytes.length }), /longer/)
})

test('a verifier that was reset begins again', () => {
  const bytes = Buffer.from('the content')
  const verifier = new DigestVerifier({ digest: digestOf(bytes), size: bytes.length })
  verifier.update(Buffer.from('wrong'))
  verifier.reset()
  assert.equal(verifier.bytes, 0)
  verifier.update(bytes)
  verifier.verify()
})

async function passed(chunks: Uint8Array[], expected: { digest: Digest; size: number }): Promise<Buffer> {
  async function* source() {
    yield* chunks
  }
  const out: Uint8Array[] = []
  for await (const chunk of verified(source(), expected)) out.push(chunk)
  return Buffer.concat(out)
}
