import { randomBytes } from 'node:crypto'
import { isCofferError } from '../../src/errors.ts'
import { digestOf } from '../../src/image/digest.ts'
import { parseReference } from '../../src/image/reference.ts'
import { RegistryClient, type RegistryClientOptions } from '../../src/image/registry/client.ts'
import type { CredentialSource } from '../../src/image/registry/credentials.ts'
import type { Descriptor } from '../../src/image/registry/manifest.ts'
import { mediaTypes } from '../../src/image/registry/media-types.ts'
import { parseRegistrySettings, type RegistryOptions } from '../../src/image/registry/settings.ts'
import { registryPassword, registryUsername } from './registry.ts'

/** Waits that a test can afford. */
export const quickRetry = { attempts: 4, baseDelayMs: 1, maxDelayMs: 4, maxRetryAfterMs: 2000 }

/** The user whom the registries of the tests know. */
export const knownUser: CredentialSource = async () => ({
  kind: 'basic',
  username: registryUsername,
  password: registryPassword,
})

/** A client that waits little and sees nothing of the environment. */
export function openClient(
  options: RegistryOptions = {},
  more: Partial<Omit<RegistryClientOptions, 'settings'>> = {},
): RegistryClient {
  const settings = parseRegistrySettings(options, 'the settings of the test', 'config_error')
  return new RegistryClient({ settings, retry: quickRetry, environment: {}, ...more })
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = []
  for await (const chunk of chunks) collected.push(chunk)
  return Buffer.concat(collected)
}

/** For `assert.rejects`: an error of Coffer with that code, whose message has all of `words`. */
export function failsWith(code: string, ...words: string[]): (error: unknown) => boolean {
  return error => {
    if (!isCofferError(error) || error.code !== code) return false
    const text = `${error.message} ${error.hint ?? ''}`
    return words.every(word => text.includes(word))
  }
}

/** What of the upload can be read again. */
export type UploadedImage = {
  readonly layer: Buffer
  readonly descriptor: Descriptor
  readonly layerDescriptor: Descriptor
}

/** Pushes an image of one layer with the client itself: for tests of reading, which need no more. */
export async function uploadImage(
  client: RegistryClient,
  name: string,
  layer: Buffer = randomBytes(200_000),
): Promise<UploadedImage> {
  const reference = parseReference(name)
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }),
  )
  for (const bytes of [config, layer])
    await client.uploadBlob(reference, {
      ...describe('', bytes),
      open: async function* () {
        yield bytes
      },
    })
  const layerDescriptor = describe('application/vnd.oci.image.layer.v1.tar', layer)
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: describe(mediaTypes.ociConfig, config),
    layers: [layerDescriptor],
  }
  const bytes = Buffer.from(JSON.stringify(manifest))
  const descriptor = await client.uploadManifest(reference, bytes, mediaTypes.ociManifest)
  return { layer, descriptor, layerDescriptor }
}

export function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}
