import { CofferError } from '../../errors.ts'
import { DigestVerifier } from '../digest.ts'
import { formatReference, type ImageReference } from '../reference.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { type Step, stepError, TransientError } from './failure.ts'
import type { Descriptor } from './manifest.ts'
import type { HttpResponse } from './response.ts'
import { delayBefore, mayRetry, pause } from './retry.ts'

export type BlobOptions = {
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  /**
   * What already hashed the beginning of the blob, from a file an earlier download left: fetching goes on after its `bytes`.
   * Default: from the start.
   */
  readonly verifier?: DigestVerifier | undefined
}

/** Less than this between two cuts is no progress: a server must not keep us for ever with a byte per connection. */
const progressBytes = 16 << 10

/**
 * The bytes of a blob, from where `verifier` stands. A cut connection is made again and asked for the rest; a mirror that fails is
 * left for the next one, at the same place. Never yields a byte beyond the announced size. Throws `image_pull_failed` with
 * `details.reason: 'digest_mismatch'` after the last byte if the digest is wrong: nothing may be used before the end.
 */
export async function* downloadBlob(
  endpoints: Endpoints,
  reference: ImageReference,
  descriptor: Descriptor,
  options: BlobOptions = {},
): AsyncGenerator<Uint8Array> {
  const verifier = options.verifier ?? new DigestVerifier(descriptor)
  if (verifier.digest !== descriptor.digest || verifier.size !== descriptor.size)
    throw new CofferError(
      'internal',
      `the verifier is for ${verifier.digest}, the blob is ${descriptor.digest}`,
    )
  const step: Step = {
    what: `fetch ${descriptor.digest} of ${formatReference(reference)}`,
    host: reference.registry,
    code: 'image_pull_failed',
  }
  const sources: Endpoint[] = []
  for (const endpoint of endpoints.readable(reference)) {
    if (verifier.bytes === verifier.size && sources.length > 0) break
    sources.push(endpoint)
    try {
      yield* downloadFrom(endpoint, step, verifier, options)
      break
    } catch (error) {
      if (!endpoint.isMirror) throw error
      endpoints.leaveMirror(endpoint, error)
    }
  }
  finish(endpoints, verifier, sources)
}

/** Wrong bytes of a mirror are out when they are noticed: it is left, so that starting again asks the registry itself. */
function finish(endpoints: Endpoints, verifier: DigestVerifier, sources: readonly Endpoint[]): void {
  try {
    verifier.verify()
  } catch (error) {
    for (const source of sources) if (source.isMirror) endpoints.leaveMirror(source, error)
    throw error
  }
}

async function* downloadFrom(
  endpoint: Endpoint,
  step: Step,
  verifier: DigestVerifier,
  options: BlobOptions,
): AsyncGenerator<Uint8Array> {
  const { signal, onBytes } = options
  for (let attempt = 1, progressAt = verifier.bytes; verifier.bytes < verifier.size; attempt++) {
    try {
      for await (const chunk of openBlob(endpoint, step, verifier, signal)) {
        verifier.update(chunk)
        onBytes?.(chunk.length)
        yield chunk
      }
      if (verifier.bytes < verifier.size)
        throw new TransientError(
          'upstream_unavailable',
          `cannot ${step.what}: ${endpoint.host.name} sent ${verifier.bytes} of ${verifier.size} bytes`,
        )
    } catch (error) {
      if (verifier.bytes - progressAt >= progressBytes) {
        progressAt = verifier.bytes
        attempt = 1
      }
      if (!mayRetry(endpoint.policy, attempt, error)) throw error
      await pause(delayBefore(endpoint.policy, attempt, error), step, signal)
    }
  }
}

/** The bytes from `verifier.bytes` on, of one connection. */
async function* openBlob(
  { host, repository }: Endpoint,
  step: Step,
  { digest, size, bytes: offset }: DigestVerifier,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const response = await host.request(step, {
    path: `${repository}/blobs/${digest}`,
    scopes: [`repository:${repository}:pull`],
    // Compressed on the way, the bytes would have another length than announced.
    headers: { 'accept-encoding': 'identity', ...(offset > 0 && { range: `bytes=${offset}-${size - 1}` }) },
    signal,
    expect: offset > 0 ? [200, 206] : [200],
  })
  let skip: number
  try {
    skip = bytesToSkip(step, response, offset, size)
  } catch (error) {
    response.discard()
    throw error
  }
  for await (const chunk of response.body()) {
    const kept = chunk.subarray(skip)
    skip -= chunk.length - kept.length
    if (kept.length > 0) yield kept
  }
}

/** How much of the body lies before `offset`: all of it if the server knows no ranges. Throws if the blob has another size there. */
function bytesToSkip(step: Step, response: HttpResponse, offset: number, size: number): number {
  const length = response.header('content-length')
  const encoding = response.header('content-encoding')
  if (encoding !== undefined && encoding !== 'identity')
    throw stepError(
      step,
      `${response.url.host} sent it with the encoding ${JSON.stringify(encoding.slice(0, 40))}`,
    )
  if (response.status === 200) {
    if (length !== undefined && Number(length) !== size) throw wrongSize(step, response, length, size)
    return offset
  }
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.header('content-range') ?? '') ?? []
  if (first === undefined || Number(first) !== offset)
    throw stepError(step, `${response.url.host} sent another part than the one from byte ${offset}`)
  if (total !== undefined && total !== '*' && Number(total) !== size)
    throw wrongSize(step, response, total, size)
  return 0
}

function wrongSize(step: Step, response: HttpResponse, actual: string, size: number): CofferError {
  return stepError(
    step,
    `${response.url.host} has it with ${actual.slice(0, 20)} bytes, ${size} were announced`,
    {
      details: { reason: 'size_mismatch' },
    },
  )
}
