import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestHome } from '../home.ts'
import { failsWith } from '../registry/client.ts'
import { startRegistry } from '../registry/registry.ts'
import { file, pushImage } from './oci-image.ts'
import { ownHome, pullSourceForThisFile } from './pull-source.ts'

// What a name means to a pull, and when the registry is asked.

const source = pullSourceForThisFile()

test('a name that moves means its new image to who asks the registry, and its old one to who does not', async () => {
  await using home = await ownHome()
  const { images } = home.runtime
  const first = await pushImage(source.registry, 'team/moving:1', { layers: [[file('version', '1')]] })
  await images.pull(first.name)
  const second = await pushImage(source.registry, 'team/moving:1', { layers: [[file('version', '2')]] })
  assert.equal((await images.pull(first.name, { policy: 'missing' })).digest, first.digest)
  assert.equal((await images.pull(first.name, { policy: 'never' })).digest, first.digest)
  assert.equal((await images.pull(first.name)).digest, second.digest)
  const all = await images.list()
  assert.deepEqual(all.find(({ digest }) => digest === first.digest)?.names, [])
  const pinned = `${source.registry.host}/team/moving@${first.digest}`
  assert.equal((await images.pull(pinned, { policy: 'missing' })).digest, first.digest)
  assert.equal((await images.pull(pinned)).digest, first.digest)
  assert.deepEqual((await images.get(first.digest)).names, [pinned])
})

test('an image that is not here is refused without a registry, and said to be missing with one', async () => {
  await using home = await ownHome()
  const { images } = home.runtime
  await assert.rejects(
    images.pull(source.image.name, { policy: 'never' }),
    failsWith('not_found', source.image.name, 'may not be pulled'),
  )
  await assert.rejects(
    images.pull(`${source.registry.host}/team/none:1`),
    failsWith('not_found', 'team/none'),
  )
  await assert.rejects(images.pull(source.image.digest), failsWith('not_found', 'no registry'))
})

test('without its registry an image is out of reach unless it is here', async () => {
  await using home = await ownHome()
  const gone = await startRegistry()
  const pushed = await pushImage(gone, 'app:1', { layers: [[file('a', 'a')]] })
  await home.runtime.images.pull(pushed.name)
  await gone[Symbol.asyncDispose]()
  assert.equal((await home.runtime.images.pull(pushed.name, { policy: 'missing' })).digest, pushed.digest)
  await assert.rejects(
    home.runtime.images.pull(`${gone.host}/other:1`, { signal: AbortSignal.timeout(20_000) }),
    failsWith('network_unavailable', gone.host),
  )
})

test('an image for other machines is refused, and so is another platform', async () => {
  await using home = await ownHome()
  const arm = await pushImage(source.registry, 'team/arm:1', {
    layers: [[file('a', 'a')]],
    more: { architecture: 'arm64' },
  })
  await assert.rejects(home.runtime.images.pull(arm.name), failsWith('unsupported', 'arm64', 'linux/amd64'))
  await assert.rejects(
    home.runtime.images.pull(source.image.name, { platform: 'linux/arm64' }),
    failsWith('unsupported', 'linux/arm64'),
  )
  assert.equal(
    (await home.runtime.images.pull(source.image.name, { platform: 'linux/amd64' })).digest,
    source.image.digest,
  )
})

test('a short name is looked for in the search registries, and means what was found there', async () => {
  await using home = await openTestHome({
    ownImages: true,
    images: { registries: { search: [source.registry.host] } },
  })
  const pulled = await home.runtime.images.pull('team/app:1')
  assert.deepEqual(pulled.names, [source.image.name])
  assert.equal((await home.runtime.images.get('team/app:1')).digest, source.image.digest)
})
