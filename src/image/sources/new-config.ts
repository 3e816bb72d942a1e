import { Buffer } from 'node:buffer'
import { type ConfigChanges, changeConfig } from '../commit/config-changes.ts'
import type { Descriptor } from '../registry/manifest.ts'
import { mediaTypes } from '../registry/media-types.ts'
import { defaultPlatform } from '../registry/platform.ts'

export type NewConfig = {
  readonly diffIds: readonly string[]
  readonly createdAt: Date
  /** For the history. */
  readonly comment: string
  readonly changes: ConfigChanges
}

/** The configuration of an image that comes without one. */
export function newConfig({ diffIds, createdAt, comment, changes }: NewConfig): Buffer {
  const created = createdAt.toISOString()
  return Buffer.from(
    JSON.stringify({
      created,
      ...defaultPlatform,
      config: changeConfig({}, changes),
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: [{ created, comment }],
    }),
  )
}

export function ociManifest(
  config: { readonly digest: string; readonly bytes: number },
  layers: readonly Descriptor[],
  more: { readonly artifactType?: string } = {},
): Buffer {
  const { digest, bytes: size } = config
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      ...more,
      config: { mediaType: mediaTypes.ociConfig, digest, size },
      layers,
    }),
  )
}
