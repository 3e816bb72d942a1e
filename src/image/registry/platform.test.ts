import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCofferError } from '../../errors.ts'
import { parseDigest } from '../digest.ts'
import type { Descriptor, ImageIndex } from './manifest.ts'
import { mediaTypes } from './media-types.ts'
import { formatPlatform, parsePlatform, selectPlatform } from './platform.ts'

/** An index of these platforms; the size of an entry is its position. */
function indexOf(...platforms: (string | undefined)[]): ImageIndex {
  const manifests = platforms.map((text, size): Descriptor => {
    const [os = '', architecture = '', variant] = (text ?? '').split('/')
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) }
    const digest = parseDigest(`sha256:${'a'.repeat(64)}`)
    return { mediaType: mediaTypes.ociManifest, digest, size, ...(text !== undefined && { platform }) }
  })
  return { kind: 'index', mediaType: mediaTypes.ociIndex, manifests, annotations: {} }
}

const position = (index: ImageIndex, wanted?: string) =>
  selectPlatform(index, wanted === undefined ? undefined : parsePlatform(wanted)).size

test('the image for linux/amd64 is selected where nothing else is asked for', () => {
  assert.equal(position(indexOf('windows/amd64', 'linux/arm64', 'linux/amd64')), 2)
  assert.equal(position(indexOf('linux/arm64', 'linux/x86_64')), 1)
  assert.equal(position(indexOf('linux/amd64/v3', 'linux/amd64/v1')), 1)
  assert.throws(
    () => position(indexOf('linux/amd64/v3')),
    error => isCofferError(error, 'not_found'),
  )
})

test('the best variant that the wanted processor can run is selected', () => {
  const arm = indexOf('linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64/v8')
  for (const [wanted, expected] of [
    ['linux/arm', 2],
    ['linux/arm/v7', 2],
    ['linux/arm/v6', 1],
    ['linux/arm/v5', 0],
    ['linux/arm64', 3],
    ['linux/aarch64/v8', 3],
  ] as const)
    assert.equal(position(arm, wanted), expected, wanted)
  assert.equal(position(indexOf('linux/arm/v5'), 'linux/arm/v7'), 0)
  assert.equal(position(indexOf('linux/amd64', 'linux/amd64/v2'), 'linux/amd64/v3'), 1)
})

test('a platform that is missing is a not_found that lists what there is, without attestations', () => {
  const index = indexOf('linux/arm64/v8', 'unknown/unknown', 'windows/amd64')
  assert.throws(
    () => position(index),
    error =>
      isCofferError(error, 'not_found') &&
      error.hint === 'There is: linux/arm64/v8, windows/amd64.' &&
      error.message.includes('linux/amd64'),
  )
})

test('the only image of an index without platforms is meant for any', () => {
  assert.equal(position(indexOf(undefined)), 0)
  assert.throws(
    () => position(indexOf(undefined, undefined)),
    error => isCofferError(error, 'not_found'),
  )
  assert.throws(
    () => position(indexOf()),
    error => isCofferError(error, 'not_found'),
  )
})

test('a platform is read from text and written again', () => {
  for (const text of ['linux/amd64', 'linux/arm64', 'linux/arm/v6', 'windows/amd64'])
    assert.equal(formatPlatform(parsePlatform(text)), text)
  assert.equal(formatPlatform(parsePlatform('Linux/x86_64')), 'linux/amd64')
  for (const text of [
    '',
    'linux',
    'linux/',
    '/amd64',
    'linux/arm/v7/x',
    'li nux/amd64',
    'linux/constructor/',
  ])
    assert.throws(
      () => parsePlatform(text),
      error => isCofferError(error, 'invalid_argument'),
      text,
    )
  assert.throws(
    () => position(indexOf('linux/amd64'), 'linux/constructor'),
    error => isCofferError(error, 'not_found'),
  )
})
