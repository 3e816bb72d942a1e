import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCofferError } from '../../src/errors.ts'
import { RegistryClient } from '../../src/image/registry/client.ts'
import { parseRegistrySettings } from '../../src/image/registry/settings.ts'
import { type PushProgress, pushImage } from '../../src/image/save/push-image.ts'
import { loadImages } from '../../src/image/sources/load.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { makeLayout, manifestDigest, run } from './images.ts'
import { testStore } from './store.ts'

function clientOf({ options, username, password }: TestRegistry, withLogin = true): RegistryClient {
  return new RegistryClient({
    settings: parseRegistrySettings(options, 'test', 'invalid_argument'),
    credentials: async () => (withLogin ? { kind: 'basic', username, password } : undefined),
  })
}

test('a pushed image keeps its digest, and is there for skopeo', async () => {
  using home = testStore()
  await using registry = await startRegistry()
  await using client = clientOf(registry, false)
  const layout = makeLayout(home.at('layout'))
  await loadImages(layout, home.store, { name: `${registry.host}/team/app` })
  const target = `${registry.host}/team/app:1`
  const descriptor = await pushImage(home.store, `${registry.host}/team/app:image`, target, client)
  assert.equal(descriptor.digest, manifestDigest(layout))
  const seen = await run(
    'skopeo',
    'inspect',
    '--tls-verify=false',
    '--format',
    '{{.Digest}}',
    `docker://${target}`,
  )
  assert.equal(seen.trim(), manifestDigest(layout))
})

test('blobs that are there already, in this repository or another, cost no bytes', async () => {
  using home = testStore()
  await using registry = await startRegistry()
  await using client = clientOf(registry, false)
  const name = `${registry.host}/team/app:image`
  await loadImages(makeLayout(home.at('layout')), home.store, { name: `${registry.host}/team/app` })
  const push = async (target: string): Promise<PushProgress[]> => {
    const ends: PushProgress[] = []
    const onProgress = (progress: PushProgress): void => {
      if (progress.phase !== 'uploading') ends.push(progress)
    }
    await pushImage(home.store, name, `${registry.host}/${target}`, client, { onProgress })
    return ends
  }
  const phases = async (target: string): Promise<string[]> => (await push(target)).map(({ phase }) => phase)
  assert.deepEqual(await phases('team/app:image'), Array(4).fill('uploaded'))
  assert.deepEqual(await phases('team/app:again'), Array(4).fill('existed'))
  assert.deepEqual(await phases('other/app:1'), Array(4).fill('mounted'))
})

test('a push goes through token authentication, and without a login is refused', async () => {
  using home = testStore()
  await using registry = await startRegistry({ auth: 'token', tls: true })
  await using client = clientOf(registry)
  await using nobody = clientOf(registry, false)
  const layout = makeLayout(home.at('layout'))
  await loadImages(layout, home.store)
  const target = `${registry.host}/secret/app:1`
  await assert.rejects(
    pushImage(home.store, 'image', target, nobody),
    error => isCofferError(error, 'unauthenticated') || isCofferError(error, 'permission_denied'),
  )
  const { digest } = await pushImage(home.store, 'image', target, client)
  assert.equal(digest, manifestDigest(layout))
})

test('a push of what is not here, or that is given up, fails as such', async () => {
  using home = testStore()
  await using registry = await startRegistry()
  await using client = clientOf(registry, false)
  await loadImages(makeLayout(home.at('layout')), home.store)
  const target = `${registry.host}/team/app:1`
  await assert.rejects(pushImage(home.store, 'nothing', target, client), error =>
    isCofferError(error, 'not_found'),
  )
  await assert.rejects(
    pushImage(home.store, 'image', target, client, { signal: AbortSignal.abort() }),
    error => isCofferError(error, 'aborted'),
  )
})
