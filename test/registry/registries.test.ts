import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { parseReference } from '../../src/image/reference.ts'
import { mediaTypes } from '../../src/image/registry/media-types.ts'
import { scratchDirectory } from '../scratch.ts'
import { collect, describe, failsWith, knownUser, openClient, uploadImage } from './client.ts'
import { makeLayout } from './layout.ts'
import { startRegistry, storedBlob } from './registry.ts'

const execute = promisify(execFile)

// What a real docker-registry says, in every way it can be set up, with an image that skopeo pushed.

const scratch = scratchDirectory('registry')
let source = ''
before(async () => {
  source = await makeLayout(scratch.path)
})
after(() => scratch[Symbol.dispose]())

for (const auth of ['none', 'basic', 'token'] as const) {
  for (const tls of [false, true]) {
    const title = `a registry ${auth === 'none' ? 'without authentication' : `with ${auth} authentication`}, over ${tls ? 'TLS of a private authority' : 'http'}`

    test(`${title}, gives an image, its blobs and its tags`, async () => {
      await using registry = await startRegistry({ auth, tls })
      await registry.push(source, 'team/app:1')
      await registry.push(source, 'team/app:2')
      await using client = openClient(registry.options, { credentials: knownUser })
      const reference = parseReference(`${registry.host}/team/app:1`)

      const resolved = await client.resolve(reference)
      const image = await client.fetchImage(reference)
      assert.deepEqual(image.descriptor, resolved)
      assert.deepEqual(Buffer.from(image.bytes), storedBlob(registry, resolved.digest))
      assert.equal(image.manifest.layers.length, 1)
      for (const descriptor of [image.manifest.config, ...image.manifest.layers]) {
        let counted = 0
        const options = {
          onBytes: (bytes: number) => {
            counted += bytes
          },
        }
        const bytes = await collect(client.fetchBlob(reference, descriptor, options))
        assert.deepEqual(bytes, storedBlob(registry, descriptor.digest))
        assert.equal(counted, descriptor.size)
      }
      assert.deepEqual((await client.listTags(reference)).sort(), ['1', '2'])
    })

    test(`${title}, takes an image that skopeo then copies`, async () => {
      using target = scratchDirectory('registry')
      await using registry = await startRegistry({ auth, tls })
      await using client = openClient(registry.options, { credentials: knownUser })
      const name = `${registry.host}/team/pushed:1`
      const { descriptor } = await uploadImage(client, name)
      const credentials = `--src-creds=${registry.username}:${registry.password}`
      await execute('skopeo', [
        ...['copy', '--quiet', '--insecure-policy', '--preserve-digests', '--src-tls-verify=false'],
        ...(auth === 'none' ? [] : [credentials]),
        ...[`docker://${name}`, `oci:${target.path}:1`],
      ])
      const index: unknown = JSON.parse(readFileSync(join(target.path, 'index.json'), 'utf8'))
      assert.equal(Reflect.get(Object(index), 'manifests')[0].digest, descriptor.digest)
    })

    if (auth !== 'none') {
      test(`${title}, refuses nobody and a wrong password, with the command that logs in`, async () => {
        await using registry = await startRegistry({ auth, tls })
        const reference = parseReference(`${registry.host}/team/app:1`)
        await using nobody = openClient(registry.options)
        await assert.rejects(
          nobody.resolve(reference),
          failsWith('unauthenticated', `coffer login ${registry.host}`),
        )
        const password = 'a wrong password'
        await using wrong = openClient(registry.options, {
          credentials: async () => ({ kind: 'basic', username: registry.username, password }),
        })
        await assert.rejects(
          wrong.resolve(reference),
          error => failsWith('unauthenticated')(error) && !JSON.stringify(error).includes(password),
        )
      })
    }
  }
}

test('what is not there is not_found: image, tag, digest and blob', async () => {
  await using registry = await startRegistry()
  await registry.push(source, 'team/app:1')
  await using client = openClient()
  const absent = `sha256:${'0'.repeat(64)}`
  for (const name of ['team/other:1', 'team/app:2', `team/app@${absent}`]) {
    const reference = parseReference(`${registry.host}/${name}`)
    await assert.rejects(client.resolve(reference), failsWith('not_found', name))
    await assert.rejects(client.fetchManifest(reference), failsWith('not_found', name))
  }
  const reference = parseReference(`${registry.host}/team/app:1`)
  const descriptor = describe('application/octet-stream', Buffer.from('nobody has this'))
  await assert.rejects(
    collect(client.fetchBlob(reference, descriptor)),
    failsWith('not_found', descriptor.digest),
  )
  assert.equal(await client.blobExists(reference, descriptor.digest), false)
})

test('an index gives the image of the platform that is asked for, and lists the others when there is none', async () => {
  await using registry = await startRegistry()
  await using client = openClient()
  const name = `${registry.host}/team/multi`
  const [amd64, arm64] = [await uploadImage(client, `${name}:a`), await uploadImage(client, `${name}:b`)]
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      { ...arm64.descriptor, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
      { ...amd64.descriptor, platform: { os: 'linux', architecture: 'amd64' } },
    ],
  }
  const reference = parseReference(`${name}:latest`)
  const bytes = Buffer.from(JSON.stringify(index))
  const pushed = await client.uploadManifest(reference, bytes, mediaTypes.ociIndex)

  assert.equal((await client.resolve(reference)).digest, pushed.digest)
  const image = await client.fetchImage(reference)
  assert.equal(image.descriptor.digest, amd64.descriptor.digest)
  assert.equal(image.index?.descriptor.digest, pushed.digest)
  const other = await client.fetchImage(reference, { platform: { os: 'linux', architecture: 'arm64' } })
  assert.equal(other.descriptor.digest, arm64.descriptor.digest)
  await assert.rejects(
    client.fetchImage(reference, { platform: { os: 'linux', architecture: 's390x' } }),
    failsWith('not_found', 'linux/s390x', 'linux/amd64', 'linux/arm64/v8'),
  )
})

test('a blob that another repository of the registry has is mounted from there', async () => {
  await using registry = await startRegistry({ auth: 'token' })
  await using client = openClient({}, { credentials: knownUser })
  const { layer, layerDescriptor } = await uploadImage(client, `${registry.host}/team/one:1`)
  const other = parseReference(`${registry.host}/team/two:1`)
  const open = () => assert.fail('the blob was read')
  const content = { ...layerDescriptor, open }
  assert.equal(await client.uploadBlob(other, content, { mountFrom: 'team/one' }), 'mounted')
  assert.equal(await client.uploadBlob(other, content), 'existed')
  assert.deepEqual(await collect(client.fetchBlob(other, layerDescriptor)), layer)
})

test('a mount that the registry cannot do becomes an upload', async () => {
  await using registry = await startRegistry()
  await using client = openClient()
  const reference = parseReference(`${registry.host}/team/two:1`)
  const bytes = Buffer.from('a layer')
  const content = {
    ...describe('', bytes),
    open: async function* () {
      yield bytes
    },
  }
  assert.equal(await client.uploadBlob(reference, content, { mountFrom: 'team/none' }), 'uploaded')
  assert.equal(await client.blobExists(reference, content.digest), true)
})

test('a certificate of an authority nobody named is refused, with what to do; an ugly option accepts it', async () => {
  await using registry = await startRegistry({ tls: true })
  await registry.push(source, 'team/app:1')
  const reference = parseReference(`${registry.host}/team/app:1`)
  await using client = openClient()
  await assert.rejects(client.resolve(reference), failsWith('network_unavailable', 'certificate', 'caFile'))
  const registries = { [registry.host]: { dangerouslySkipTlsVerification: true } }
  await using trusting = openClient({ registries })
  assert.equal((await trusting.fetchImage(reference)).manifest.layers.length, 1)
})

test('a caFile that is not there or holds no certificate is a config_error that names it', async () => {
  await using registry = await startRegistry({ tls: true })
  const reference = parseReference(`${registry.host}/team/app:1`)
  for (const caFile of ['/nonexistent/ca.pem', '/etc/passwd']) {
    await using client = openClient({ registries: { [registry.host]: { caFile } } })
    await assert.rejects(client.resolve(reference), failsWith('config_error', caFile))
  }
})

test('a registry that is set to https is not talked to by http, and the other way round', async () => {
  await using plain = await startRegistry()
  await using insecure = openClient({ registries: { [plain.host]: { transport: 'https' } } })
  await assert.rejects(
    insecure.resolve(parseReference(`${plain.host}/team/app`)),
    failsWith('network_unavailable', plain.host),
  )
  await using secure = await startRegistry({ tls: true })
  await using other = openClient({ registries: { [secure.host]: { transport: 'http' } } })
  await assert.rejects(
    other.resolve(parseReference(`${secure.host}/team/app`)),
    failsWith('image_pull_failed'),
  )
})
