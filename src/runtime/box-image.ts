import { CofferError } from '../errors.ts'
import { decodeImage, type ImageConfig } from '../image/config.ts'
import { ensureImage, type Image, type ImageOptions } from '../image/images.ts'
import type { BoxRow, Store } from '../state/store.ts'
import { findBuilt } from '../vm/components.ts'
import type { BoxContext } from './box-connection.ts'
import type { BoxPlace } from './start-box.ts'

/**
 * The image of a box: from its first start on the one it was started from, whatever its name means by then; before that the one its name
 * means now, which is noted.
 */
export async function boxImage(
  { images, store }: BoxContext,
  { id, label, config }: BoxPlace,
  options: ImageOptions,
): Promise<Image> {
  const ensure = (digest: string | undefined): Promise<Image> =>
    ensureImage(
      images,
      { name: config.image, digest, policy: config.pull },
      () => findBuilt('busybox', 'the busybox of the built-in image'),
      options,
    )
  const known = store.findBox(id)?.imageDigest
  const image = await ensure(known)
  if (image.digest === undefined) return image
  store.images.touch(image.digest, Date.now())
  if (image.digest === known) return image
  const pinned = store.images.pinBox(id, image.digest)
  if (pinned === image.digest) return image
  // Another process was first, and the name meant another image then.
  if (pinned !== undefined) return ensure(pinned)
  throw new CofferError('not_found', `box ${label} or its image ${config.image} was removed meanwhile`)
}

/** What the image of a box that was started says; undefined before that, and for the built-in one. */
export function startedImage(store: Store, { imageDigest }: BoxRow): ImageConfig | undefined {
  const row = imageDigest === undefined ? undefined : store.images.find(imageDigest)
  return row === undefined ? undefined : decodeImage(row.config).config
}
