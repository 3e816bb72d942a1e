import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type TarItem, tarArchive } from '../../src/image/layer/tar-fixture.ts'
import type { TestRegistry } from '../registry/registry.ts'
import { scratchDirectory } from '../scratch.ts'

export type TestImage = {
  /** The lowest first. */
  readonly layers: readonly (readonly TarItem[])[]
  /** The `config` of an OCI image configuration. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Beside it. */
  readonly more?: Readonly<Record<string, unknown>>
  /** Of gzip: the same layers, stored as other bytes. Default 6. */
  readonly level?: number
}

export type PushedImage = {
  /** `127.0.0.1:PORT/NAME` */
  readonly name: string
  readonly digest: string
  readonly layers: readonly { readonly digest: string; readonly bytes: number; readonly diffId: string }[]
}

/** Makes an image of these layers and has skopeo push it. */
export async function pushImage(
  registry: TestRegistry,
  name: string,
  image: TestImage,
): Promise<PushedImage> {
  using scratch = scratchDirectory('oci-image')
  const { digest, layers } = writeImage(scratch.path, image)
  await registry.push(`oci:${scratch.path}:image`, name, '--preserve-digests')
  return { name: `${registry.host}/${name}`, digest, layers }
}

/** Writes an OCI layout with one image, tag `image`. */
export function writeImage(
  directory: string,
  { layers, config = {}, more = {}, level = 6 }: TestImage,
): Omit<PushedImage, 'name'> {
  mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true })
  const put = (type: string, bytes: Buffer): { mediaType: string; digest: string; size: number } => {
    const hex = sha256(bytes)
    writeFileSync(join(directory, 'blobs', 'sha256', hex), bytes)
    return {
      mediaType: `application/vnd.oci.image.${type}`,
      digest: `sha256:${hex}`,
      size: bytes.length,
    }
  }
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
  const tars = layers.map(items => tarArchive(items))
  const descriptors = tars.map(tar => put('layer.v1.tar+gzip', gzipSync(tar, { level })))
  const diffIds = tars.map(tar => `sha256:${sha256(tar)}`)
  const manifest = put(
    'manifest.v1+json',
    json({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: put(
        'config.v1+json',
        json({
          architecture: 'amd64',
          os: 'linux',
          created: '2026-01-02T03:04:05Z',
          config,
          rootfs: { type: 'layers', diff_ids: diffIds },
          history: [
            ...layers.map((_, index) => ({ created_by: `layer ${index}` })),
            { created_by: 'settings', empty_layer: true },
          ],
          ...more,
        }),
      ),
      layers: descriptors,
    }),
  )
  const annotations = { 'org.opencontainers.image.ref.name': 'image' }
  writeFileSync(
    join(directory, 'index.json'),
    json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  )
  writeFileSync(join(directory, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
  return {
    digest: manifest.digest,
    layers: descriptors.map(({ digest, size }, index) => ({
      digest,
      bytes: size,
      diffId: diffIds[index] ?? '',
    })),
  }
}

/** A file of a layer. */
export const file = (path: string, content: string | Buffer, more: Partial<TarItem> = {}): TarItem => ({
  path,
  content,
  ...more,
})

const applets = ['sh', 'cat', 'env', 'id', 'pwd', 'ls', 'sleep', 'touch', 'test', 'stat', 'kill', 'echo']

/** A layer that can be run: BusyBox, and a user `app` of number 1234. */
export function runnableLayer(): TarItem[] {
  const busybox = readFileSync(join(import.meta.dirname, '..', '..', 'build', 'busybox'))
  return [
    { path: 'bin', flag: '5', mode: 0o755 },
    file('bin/busybox', busybox, { mode: 0o755 }),
    ...applets.map(name => ({ path: `bin/${name}`, flag: '2', linkPath: 'busybox' })),
    { path: 'etc', flag: '5', mode: 0o755 },
    file('etc/os-release', 'ID=test\n'),
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\napp:x:1234:1234:app:/home/app:/bin/sh\n'),
    file('etc/group', 'root:x:0:\napp:x:1234:\n'),
  ]
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
