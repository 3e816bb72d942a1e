import type { Buffer } from 'node:buffer'
import type { Descriptor } from '../registry/manifest.ts'

/** An image whose blobs are in the content store, ready to be added. */
export type FoundImage = {
  readonly manifest: Buffer
  readonly mediaType: string
  /** As the source has them, still to be read as references. */
  readonly names: readonly string[]
}

/** Where the blobs of an OCI layout are. */
export type BlobSource = {
  /** Sees to it that a blob is in the content store. False if the source does not have it. */
  take(descriptor: Descriptor): Promise<boolean>
}
