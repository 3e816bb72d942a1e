import { existsSync } from 'node:fs'
import { CofferError } from '../errors.ts'
import type { ManifestRow } from '../state/images.ts'
import { builtInConfig, ensureBuiltIn, isBuiltIn } from './builtin.ts'
import { decodeImage, type ImageConfig } from './config.ts'
import { findImage, type ImageContext } from './find.ts'
import type { ImageProgressListener } from './progress.ts'
import { rootfsPath } from './rootfs-path.ts'

/** When a registry is asked: for what is not here, at every first start of a box, or not at all. */
export type PullPolicy = 'missing' | 'always' | 'never'

export const pullPolicies: readonly PullPolicy[] = ['missing', 'always', 'never']

/** An image as boxes use it: one read-only EROFS file and what it says about running commands. */
export type Image = ImageConfig & {
  readonly path: string
  /** Of its manifest; undefined for the built-in image. */
  readonly digest: string | undefined
}

/** The image of a box. */
export type ImageRequest = {
  readonly name: string
  /** The manifest that the box was started from before: nothing else counts then. */
  readonly digest: string | undefined
  readonly policy: PullPolicy
}

export type ImageOptions = {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ImageProgressListener | undefined
}

/**
 * The image a box wants, pulled and prepared now if need be. For one that is prepared this is two questions to the database: nothing of
 * registries and layers is loaded. Throws what `ImageStore.pull` and `ImageStore.prepare` throw.
 */
export async function ensureImage(
  context: ImageContext,
  request: ImageRequest,
  busybox: () => string,
  options: ImageOptions = {},
): Promise<Image> {
  if (request.digest === undefined && isBuiltIn(request.name))
    return {
      path: await ensureBuiltIn(context.home, busybox(), options),
      digest: undefined,
      ...builtInConfig,
    }
  const found = await findLocal(context, request)
  if (found !== undefined && existsSync(rootfsPath(context.home, found.chainId)))
    return imageOf(context, found)
  const { ImageStore } = await import('./store.ts')
  const images = new ImageStore(context)
  if (found !== undefined) return images.prepare(found.digest, options)
  const { digest } = await images.pull(request.name, { ...options, policy: request.policy })
  return images.prepare(digest, options)
}

export function imageOf({ home }: ImageContext, row: ManifestRow): Image {
  return {
    path: rootfsPath(home, row.chainId),
    digest: row.digest,
    ...decodeImage(row.config).config,
  }
}

async function findLocal(
  context: ImageContext,
  { name, digest, policy }: ImageRequest,
): Promise<ManifestRow | undefined> {
  if (digest === undefined) return policy === 'always' ? undefined : await findImage(context, name)
  const found = context.store.images.find(digest)
  if (found !== undefined) return found
  throw new CofferError('not_found', `the image ${digest} (${name}) of the box is not in the home any more`, {
    hint: 'Pull it again by its digest, or make the box anew.',
    details: { image: name, digest },
  })
}
