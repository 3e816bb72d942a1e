import { type CofferError, isCofferError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import { formatReference, type ImageReference } from '../reference.ts'
import { type BlobOptions, downloadBlob } from './blob-download.ts'
import {
  type BlobContent,
  blobExists,
  type UploadOptions,
  type UploadOutcome,
  uploadBlob,
} from './blob-upload.ts'
import type { CredentialSource } from './credentials.ts'
import { Endpoints } from './endpoints.ts'
import type { Descriptor, ImageIndex, ImageManifest, Platform } from './manifest.ts'
import { type FetchedManifest, fetchManifest, resolveManifest, uploadManifest } from './manifest-transfer.ts'
import { defaultPlatform, selectPlatform } from './platform.ts'
import { defaultRetryPolicy, type RetryPolicy } from './retry.ts'
import type { RegistrySettings } from './settings.ts'
import { listTags } from './tags.ts'
import { defaultTimeouts, type Timeouts, Transport } from './transport.ts'

export type RegistryClientOptions = {
  readonly settings: RegistrySettings
  /** Default: nobody. For a home: `credentialsOfHome`. */
  readonly credentials?: CredentialSource
  readonly retry?: Partial<RetryPolicy>
  readonly timeouts?: Partial<Timeouts>
  /** Where proxies are named. Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv
}

export type FetchedImage = {
  /** The manifest's own descriptor: the image's identity for one platform. */
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
  readonly manifest: ImageManifest
  /** What the reference names, if that is an index. */
  readonly index: (FetchedManifest & { readonly manifest: ImageIndex }) | undefined
}

type CallOptions = { readonly signal?: AbortSignal | undefined }

/**
 * A client of registries by the OCI distribution specification. Everything it gives out was checked against its digest, except
 * the chunks of `fetchBlob`, which are checked when the last one is out. Keeps connections and tokens until it is disposed.
 * Every failure is a `CofferError`: `unauthenticated`, `permission_denied`, `not_found`, `unsupported`, `image_pull_failed`,
 * `network_unavailable`, `upstream_unavailable`, `timeout`, `config_error`, `aborted`, or `stopped` after it was disposed.
 */
export class RegistryClient implements AsyncDisposable {
  readonly #transport: Transport
  readonly #endpoints: Endpoints

  constructor(options: RegistryClientOptions) {
    const { settings, environment = process.env } = options
    this.#transport = new Transport(settings, { ...defaultTimeouts, ...options.timeouts }, environment)
    this.#endpoints = new Endpoints({
      transport: this.#transport,
      settings,
      source: options.credentials ?? (async () => undefined),
      policy: { ...defaultRetryPolicy, ...options.retry },
    })
  }

  /** Which manifest or index a reference means now. */
  async resolve(reference: ImageReference, options?: CallOptions): Promise<Descriptor> {
    return await resolveManifest(this.#endpoints, reference, options)
  }

  /** The first of several references (`referenceCandidates`) that there is, with what it means. */
  async resolveFirst(
    references: readonly ImageReference[],
    options?: CallOptions,
  ): Promise<{ reference: ImageReference; descriptor: Descriptor }> {
    let first: CofferError | undefined
    for (const [index, reference] of references.entries()) {
      try {
        return { reference, descriptor: await this.resolve(reference, options) }
      } catch (error) {
        if (!isAbsent(error) || index === references.length - 1) throw first ?? error
        first ??= isCofferError(error) ? error : undefined
      }
    }
    throw new RangeError('there is no reference to resolve')
  }

  /** The manifest or index of a reference, or the one that `expected` describes. */
  async fetchManifest(
    reference: ImageReference,
    expected?: Descriptor,
    options?: CallOptions,
  ): Promise<FetchedManifest> {
    return await fetchManifest(this.#endpoints, reference, expected, options)
  }

  /** The manifest of a reference for one platform, through one index at most. */
  async fetchImage(
    reference: ImageReference,
    options: CallOptions & { readonly platform?: Platform; readonly expected?: Descriptor } = {},
  ): Promise<FetchedImage> {
    const top = await this.fetchManifest(reference, options.expected, options)
    if (top.manifest.kind === 'manifest') return { ...top, manifest: top.manifest, index: undefined }
    const index = { ...top, manifest: top.manifest }
    const selected = selectPlatform(
      index.manifest,
      options.platform ?? defaultPlatform,
      formatReference(reference),
    )
    const inner = await this.fetchManifest(reference, selected, options)
    // `selectPlatform` refuses an index inside, and the manifest is of the type it was announced with.
    if (inner.manifest.kind !== 'manifest') throw new TypeError('an index was taken for a manifest')
    return { ...inner, manifest: inner.manifest, index }
  }

  /** The bytes of a blob: see `downloadBlob`. Nothing of them may be used before the end. */
  fetchBlob(
    reference: ImageReference,
    descriptor: Descriptor,
    options?: BlobOptions,
  ): AsyncGenerator<Uint8Array> {
    return downloadBlob(this.#endpoints, reference, descriptor, options)
  }

  async blobExists(reference: ImageReference, digest: Digest, options?: CallOptions): Promise<boolean> {
    return await blobExists(this.#endpoints, reference, digest, options?.signal)
  }

  async uploadBlob(
    reference: ImageReference,
    content: BlobContent,
    options?: UploadOptions,
  ): Promise<UploadOutcome> {
    return await uploadBlob(this.#endpoints, reference, content, options)
  }

  /** Puts a manifest under the reference's tag, or its digest if it has no tag. */
  async uploadManifest(
    reference: ImageReference,
    bytes: Uint8Array,
    mediaType: string,
    options?: CallOptions,
  ): Promise<Descriptor> {
    return await uploadManifest(this.#endpoints, reference, bytes, mediaType, options)
  }

  async listTags(reference: ImageReference, options?: CallOptions): Promise<string[]> {
    return await listTags(this.#endpoints, reference, options?.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]()
  }
}

/**
 * Whether the next registry may be asked for a short name. Many registries refuse to tell somebody without a login what there is
 * not. Where there is a login that is refused, the name must not come to mean somebody else's image.
 */
function isAbsent(error: unknown): boolean {
  if (isCofferError(error, 'not_found')) return true
  const isRefusal = isCofferError(error, 'unauthenticated') || isCofferError(error, 'permission_denied')
  return isRefusal && error.details['authenticated'] === false
}
