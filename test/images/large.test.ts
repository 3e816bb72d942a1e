import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestHome } from '../home.ts'
import { debianImage, debianImageUnavailable } from '../layers/debian-image.ts'
import { startRegistry } from '../registry/registry.ts'
import { Puller } from './puller.ts'

const most = 150 * 1024

test('pulling an image of 350 MB takes less than 150 MB of memory above idle', {
  skip: debianImageUnavailable() ?? false,
}, async () => {
  await using registry = await startRegistry()
  const { layoutDirectory, tag } = await debianImage()
  await registry.push(`oci:${layoutDirectory}:${tag}`, 'large/debian:12')
  await using home = await openTestHome({ ownImages: true })
  await using puller = new Puller(home.path, `${registry.host}/large/debian:12`)
  const { idleKib, peakKib } = await puller.result()
  assert.ok(peakKib - idleKib < most, `${peakKib - idleKib} KiB above ${idleKib}`)
})
