import type { Writable } from 'node:stream'
import { describeImage, type ImageInfo } from '../image/describe.ts'
import { loadSettings } from '../image/find.ts'
import { evict } from '../image/prune.ts'
import { RegistryClient } from '../image/registry/client.ts'
import { credentialsOfHome } from '../image/registry/credentials.ts'
import { type PushOptions, pushImage } from '../image/save/push-image.ts'
import { type SaveOptions, saveImages } from '../image/save/save-images.ts'
import { type ImportDiskOptions, importDisk } from '../image/sources/import-disk.ts'
import { type ImportOptions, importRootfs } from '../image/sources/import-rootfs.ts'
import { type LoadOptions, loadImages } from '../image/sources/load.ts'
import type { ImageStore } from '../image/store.ts'
import { checkKeys, checkObject, checkText, checkTextList } from './validate.ts'

export type { ImportDiskOptions, ImportOptions, LoadOptions, PushOptions, SaveOptions }

export type PushedImage = { readonly digest: string; readonly bytes: number }

/** The work of `Images` that brings images in and out, in a file of its own: who only runs boxes does not load it. */
export async function loadAndDescribe(
  store: ImageStore,
  source: string | AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<ImageInfo[]> {
  checkKeys('options', checkObject('options', options), ['name', 'maxBytes', 'signal', 'onBytes'])
  const rows = await loadImages(source, store, options)
  for (const { digest } of rows.slice(-1)) await evict(store, digest)
  return await Promise.all(rows.map(row => describeImage(store, row)))
}

export async function saveNamed(
  store: ImageStore,
  names: readonly string[],
  output: string | Writable,
  options: SaveOptions,
): Promise<void> {
  checkKeys('options', checkObject('options', options), ['format', 'signal', 'onBytes'])
  await saveImages(store, checkTextList('names', names, maxNameLength), output, options)
}

export async function importAndDescribe(
  store: ImageStore,
  kind: 'rootfs' | 'disk',
  source: string | AsyncIterable<Uint8Array>,
  name: string | undefined,
  options: ImportOptions,
): Promise<ImageInfo> {
  const known = ['config', 'message', 'createdAt', 'signal', 'onBytes'] as const
  const more = kind === 'rootfs' ? (['compression', 'maxBytes'] as const) : []
  checkKeys('options', checkObject('options', options), [...known, ...more])
  const row =
    kind === 'rootfs'
      ? await importRootfs(source, name, store, options)
      : await importDisk(checkText('path', source), name, store, options)
  await evict(store, row.digest)
  return await describeImage(store, row)
}

export async function pushNamed(
  store: ImageStore,
  name: string,
  target: string,
  options: PushOptions,
): Promise<PushedImage> {
  checkKeys('options', checkObject('options', options), ['signal', 'onProgress'])
  await using client = new RegistryClient({
    settings: await loadSettings(store.context),
    credentials: credentialsOfHome(store.context.home.path),
  })
  const { digest, size } = await pushImage(
    store,
    checkText('name', name),
    checkText('target', target),
    client,
    options,
  )
  return { digest, bytes: size }
}

const maxNameLength = 1024
