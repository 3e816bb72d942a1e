import { Buffer } from 'node:buffer'
import type { ManifestRow } from '../../state/images.ts'
import type { ContentStore } from '../content.ts'
import type { Compression } from '../layer/decompress.ts'
import { defaultLayerLimits } from '../layer/limits.ts'
import { mediaTypes } from '../registry/media-types.ts'
import { writeTar } from '../save/tar-writer.ts'
import { type WrittenLayer, writeLayer } from '../save/write-layer.ts'
import { bringIn } from '../sources/bring-in.ts'
import { ociManifest } from '../sources/new-config.ts'
import { newNames } from '../sources/new-name.ts'
import type { ImageStore } from '../store.ts'
import { builtInBase } from './built-in-base.ts'
import { type CommitBase, imageBase } from './commit-base.ts'
import { type ConfigChanges, changeConfig } from './config-changes.ts'
import { diffMembers } from './diff-members.ts'

export type Commit = {
  /** The image below; for the built-in one, the busybox it is made from. */
  readonly base: ManifestRow | { readonly busybox: string }
  /** The image's; undefined for one that only its digest names. */
  readonly name: string | undefined
  readonly changes: ConfigChanges
  readonly author?: string | undefined
  readonly message?: string | undefined
  /** For the history. */
  readonly createdBy: string
  /** Default now. */
  readonly createdAt?: Date | undefined
  /** Default gzip. */
  readonly compression?: Compression | undefined
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece of the layer. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/**
 * Makes an image of a layer that `diff` gives as a tar, on top of another image, whose configuration it takes with `changes`. `diff` is read
 * once and to its end; that it was all there is, is for the caller to see, who throws from it otherwise.
 *
 * @throws `invalid_argument` for a layer that breaks the rules or a name, `resource_exhausted`, `unsupported` for a disk below,
 *   `aborted`, `storage_error`; what `diff` throws
 */
export async function commitImage(
  store: ImageStore,
  diff: AsyncIterable<Uint8Array>,
  commit: Commit,
): Promise<ManifestRow> {
  const names = newNames(commit.name)
  return await bringIn(store, commit.signal, async content => {
    const base =
      'busybox' in commit.base
        ? await builtInBase(content, commit.base.busybox)
        : imageBase(content, commit.base)
    const layer = await writeLayer(content, writeTar(diffMembers(diff, defaultLayerLimits)), {
      ...commit,
      maxBytes: defaultLayerLimits.maxBytes,
    })
    const manifest = await writeImage(content, base, layer, commit)
    return await store.add({ manifest, mediaType: mediaTypes.ociManifest, names })
  })
}

async function writeImage(
  content: ContentStore,
  base: CommitBase,
  { descriptor, diffId }: WrittenLayer,
  commit: Commit,
): Promise<Buffer> {
  const created = (commit.createdAt ?? new Date()).toISOString()
  const { author, message } = commit
  const step = {
    created,
    created_by: commit.createdBy,
    ...(author !== undefined && { author }),
    ...(message !== undefined && { comment: message }),
  }
  const config = {
    ...base.config,
    created,
    ...(author !== undefined && { author }),
    config: changeConfig(objectOf(base.config['config']), commit.changes),
    rootfs: { type: 'layers', diff_ids: [...base.diffIds, diffId] },
    history: [...historyOf(base), step],
  }
  return ociManifest(await content.writeBytes(Buffer.from(JSON.stringify(config))), [
    ...base.layers,
    descriptor,
  ])
}

/** Tools count entries against layers: those that the base leaves out would be taken from the new one. */
function historyOf({ config, layers }: CommitBase): readonly unknown[] {
  const history = Array.isArray(config['history']) ? config['history'] : []
  const described = history.filter(entry => Reflect.get(Object(entry), 'empty_layer') !== true).length
  const missing = Math.max(0, layers.length - described)
  return [...Array.from({ length: missing }, () => ({ comment: 'of the image below' })), ...history]
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
