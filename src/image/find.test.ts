import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { isCofferError } from '../errors.ts'
import { isBuiltIn } from './builtin.ts'
import { type Digest, digestOf } from './digest.ts'
import { canonicalName, checkImageName, isImageId } from './find.ts'
import { checkPlatform } from './platform-check.ts'
import { parseReference } from './reference.ts'
import { chainIdOf } from './rootfs-path.ts'

test('only the plain name means the built-in image', () => {
  for (const name of ['busybox', 'busybox:latest']) assert.ok(isBuiltIn(name), name)
  for (const name of ['busybox:1.36', 'library/busybox', 'docker.io/library/busybox', 'docker.io/busybox'])
    assert.ok(!isBuiltIn(name), name)
})

test('a name is a reference or an id, and nothing else', () => {
  const id = 'a'.repeat(64)
  for (const name of ['alpine', 'ghcr.io/a/b:1', `a@sha256:${id}`, id, `sha256:${id}`, 'localhost:5000/x'])
    checkImageName(name)
  for (const name of ['', 'Alpine', 'https://ghcr.io/a', 'a b', 'a@sha256:12'])
    assert.throws(
      () => checkImageName(name),
      error => isCofferError(error, 'invalid_argument'),
      name,
    )
  assert.ok(isImageId(`sha256:${id}`) && !isImageId('a'.repeat(63)))
})

test('a digest is what a name means, and its tag is not kept', () => {
  const digest = `sha256:${'b'.repeat(64)}`
  assert.equal(canonicalName(parseReference(`alpine:3@${digest}`)), `docker.io/library/alpine@${digest}`)
  assert.equal(canonicalName(parseReference('alpine')), 'docker.io/library/alpine:latest')
})

test('the chain id of one layer is its diff id, of several the hash of the chain below and the next', () => {
  const [a, b, c] = ['a', 'b', 'c'].map(text => digestOf(Buffer.from(text))) as [Digest, Digest, Digest]
  const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
  assert.equal(chainIdOf([a]), a)
  assert.equal(chainIdOf([a, b]), sha256(`${a} ${b}`))
  assert.equal(chainIdOf([a, b, c]), sha256(`${sha256(`${a} ${b}`)} ${c}`))
  assert.notEqual(chainIdOf([a, b]), chainIdOf([b, a]))
})

test('boxes run linux/amd64, however it is spelt', () => {
  for (const platform of ['linux/amd64', 'linux/x86_64', 'Linux/AMD64', 'linux/amd64/v2'])
    checkPlatform(platform)
  const code = (platform: string): string | undefined => {
    try {
      checkPlatform(platform)
      return undefined
    } catch (error) {
      return isCofferError(error) ? error.code : 'none'
    }
  }
  for (const platform of ['linux/arm64', 'windows/amd64', 'linux/arm/v7'])
    assert.equal(code(platform), 'unsupported', platform)
  for (const platform of ['', 'amd64', 'a/b/c/d', 'linux/../x'])
    assert.equal(code(platform), 'invalid_argument', platform)
})
