import { CofferError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import { formatReference, type ImageReference } from '../reference.ts'
import type { Endpoints } from './endpoints.ts'
import { type Step, stepError } from './failure.ts'
import { redirectTarget } from './redirects.ts'
import type { RegistryHost } from './registry-host.ts'
import type { HttpResponse } from './response.ts'
import { withRetries } from './retry.ts'

export type BlobContent = {
  readonly digest: Digest
  readonly size: number
  /** Gives the bytes from the start; called again for each further try. */
  open(): AsyncIterable<Uint8Array>
}

export type UploadOptions = {
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece that was sent, also of one that has to be sent again. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  /** A repository of the same registry that has the blob: it is mounted from there, if the registry can. */
  readonly mountFrom?: string | undefined
}

export type UploadOutcome = 'existed' | 'mounted' | 'uploaded'

/** Whether the registry has a blob, by the registry's own word. */
export async function blobExists(
  endpoints: Endpoints,
  reference: ImageReference,
  digest: Digest,
  signal?: AbortSignal,
): Promise<boolean> {
  const { host, repository, policy } = endpoints.origin(reference)
  const step = stepFor(`look for ${digest} in`, reference)
  return await withRetries(policy, step, signal, async () => {
    const response = await host.request(step, {
      path: `${repository}/blobs/${digest}`,
      method: 'HEAD',
      scopes: [`repository:${repository}:pull`],
      signal,
      expect: [200, 404],
    })
    response.discard()
    return response.status === 200
  })
}

/** Puts a blob into the repository of `reference`, unless it is there. */
export async function uploadBlob(
  endpoints: Endpoints,
  reference: ImageReference,
  content: BlobContent,
  options: UploadOptions = {},
): Promise<UploadOutcome> {
  const { signal, mountFrom } = options
  if (await blobExists(endpoints, reference, content.digest, signal)) return 'existed'
  const { host, repository, policy } = endpoints.origin(reference)
  const step = stepFor(`push ${content.digest} to`, reference)
  return await withRetries(policy, step, signal, async () => {
    const started = await startUpload(host, step, repository, content.digest, mountFrom, signal)
    if (started.status === 201) return 'mounted'
    await sendContent(host, step, repository, uploadUrl(step, started), content, options)
    return 'uploaded'
  })
}

/** 201 says that the blob was mounted, 202 that it is wanted at the Location. */
async function startUpload(
  host: RegistryHost,
  step: Step,
  repository: string,
  digest: Digest,
  mountFrom: string | undefined,
  signal: AbortSignal | undefined,
): Promise<HttpResponse> {
  const mount = mountFrom === undefined ? '' : `?${new URLSearchParams({ mount: digest, from: mountFrom })}`
  const from = mountFrom === undefined ? [] : [`repository:${mountFrom}:pull`]
  const response = await host.request(step, {
    path: `${repository}/blobs/uploads/${mount}`,
    method: 'POST',
    scopes: [`repository:${repository}:pull,push`, ...from],
    headers: { 'content-length': '0' },
    signal,
    expect: mountFrom === undefined ? [202] : [201, 202],
  })
  response.discard()
  return response
}

async function sendContent(
  host: RegistryHost,
  step: Step,
  repository: string,
  url: URL,
  content: BlobContent,
  { signal, onBytes }: UploadOptions,
): Promise<void> {
  url.searchParams.set('digest', content.digest)
  const response = await host.request(step, {
    path: url,
    method: 'PUT',
    scopes: [`repository:${repository}:pull,push`],
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(content.size) },
    body: () => counted(step, content, onBytes),
    signal,
    expect: [201],
  })
  response.discard()
}

/** The content, if it is as long as announced. Its own failures are none of the network, and not tried again. */
async function* counted(
  step: Step,
  content: BlobContent,
  onBytes: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  const iterator = content.open()[Symbol.asyncIterator]()
  let total = 0
  try {
    for (;;) {
      const { value, done } = await iterator.next().catch(error => {
        throw unreadable(step, error)
      })
      if (done === true) break
      total += value.length
      if (total > content.size) throw wrongLength(step, content, `more than ${content.size}`)
      yield value
      onBytes?.(value.length)
    }
    if (total < content.size) throw wrongLength(step, content, `${total}`)
  } finally {
    await iterator.return?.()
  }
}

function unreadable(step: Step, error: unknown): CofferError {
  if (error instanceof CofferError) return error
  return stepError(step, 'its content cannot be read', { code: 'storage_error', cause: error })
}

function wrongLength(step: Step, { size }: BlobContent, actual: string): CofferError {
  return stepError(step, `its content has ${actual} bytes, ${size} were announced`, {
    code: 'invalid_argument',
  })
}

function uploadUrl(step: Step, response: HttpResponse): URL {
  const location = response.header('location')
  if (location === undefined) throw stepError(step, `${response.url.host} does not say where to send it`)
  return redirectTarget(step, response.url, location)
}

function stepFor(verb: string, reference: ImageReference): Step {
  return {
    what: `${verb} ${formatReference(reference)}`,
    host: reference.registry,
    code: 'upstream_unavailable',
  }
}
