import type { CofferError } from '../../errors.ts'
import { type Digest, digestAlgorithm, digestOf, isDigest } from '../digest.ts'
import { formatReference, type ImageReference } from '../reference.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { type Step, stepError } from './failure.ts'
import {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  maxManifestBytes,
  parseManifest,
} from './manifest.ts'
import { acceptedManifests, bareMediaType, isIndexType, isManifestType } from './media-types.ts'
import type { HttpResponse } from './response.ts'
import { withRetries } from './retry.ts'

export type FetchedManifest = {
  readonly descriptor: Descriptor
  /** Exactly as they were sent: the digest is of them. */
  readonly bytes: Uint8Array
  readonly manifest: ImageManifest | ImageIndex
}

type FetchOptions = { readonly signal?: AbortSignal | undefined }

/** The time all of a manifest may take, however slowly it drips. */
const deadlineMs = 120_000

/** Asks which manifest a tag means now, or whether there is the one of a digest, without fetching it if the registry can. */
export async function resolveManifest(
  endpoints: Endpoints,
  reference: ImageReference,
  { signal }: FetchOptions = {},
): Promise<Descriptor> {
  const step = stepFor('resolve', reference)
  return await endpoints.read(reference, async endpoint => {
    const head = await withRetries(endpoint.policy, step, signal, async () => {
      const response = await requestManifest(endpoint, step, reference, 'HEAD', signal)
      response.discard()
      return describe(response, reference.digest)
    })
    // Some registries know no HEAD, or say too little in it.
    return head ?? (await fetchFrom(endpoint, step, reference, undefined, signal)).descriptor
  })
}

/** The manifest or index of a reference; of `expected`, which an index or an earlier `resolve` named, if that is given. */
export async function fetchManifest(
  endpoints: Endpoints,
  reference: ImageReference,
  expected?: Descriptor,
  { signal }: FetchOptions = {},
): Promise<FetchedManifest> {
  const step = stepFor('fetch the manifest of', reference)
  return await endpoints.read(reference, endpoint => fetchFrom(endpoint, step, reference, expected, signal))
}

export async function uploadManifest(
  endpoints: Endpoints,
  reference: ImageReference,
  bytes: Uint8Array,
  mediaType: string,
  { signal }: FetchOptions = {},
): Promise<Descriptor> {
  const step: Step = { ...stepFor('push the manifest of', reference), code: 'upstream_unavailable' }
  const { host, repository, policy } = endpoints.origin(reference)
  // What we would refuse to read is not written either.
  parseManifest(bytes, mediaType, 'the manifest to be pushed')
  const digest = digestOf(bytes)
  if (reference.digest !== undefined && reference.digest !== digest)
    throw stepError(step, `its digest is ${digest}`, { code: 'invalid_argument' })
  const response = await withRetries(policy, step, signal, () =>
    host.request(step, {
      path: `${repository}/manifests/${reference.tag ?? digest}`,
      method: 'PUT',
      scopes: [`repository:${repository}:pull,push`],
      headers: { 'content-type': mediaType },
      body: () => bytes,
      signal,
      expect: [201],
    }),
  )
  response.discard()
  const stored = response.header('docker-content-digest')
  if (stored !== undefined && stored !== digest)
    throw stepError(
      step,
      `${host.name} stored it as ${JSON.stringify(stored.slice(0, 140))}, not as ${digest}`,
    )
  return { mediaType, digest, size: bytes.length }
}

async function fetchFrom(
  endpoint: Endpoint,
  step: Step,
  reference: ImageReference,
  expected: Descriptor | undefined,
  signal: AbortSignal | undefined,
): Promise<FetchedManifest> {
  const wanted = expected?.digest ?? reference.digest
  return await withRetries(endpoint.policy, step, signal, async () => {
    const deadline = AbortSignal.timeout(deadlineMs)
    const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
    const response = await requestManifest(
      endpoint,
      step,
      { ...reference, ...(wanted && { digest: wanted }) },
      'GET',
      either,
    )
    const bytes = await response.bytes(maxManifestBytes)
    return checked(step, response, bytes, wanted, expected)
  })
}

/** `expected` is what led here: for a descriptor of an index, type and size must hold as well. */
function checked(
  step: Step,
  response: HttpResponse,
  bytes: Buffer,
  wanted: Digest | undefined,
  expected: Descriptor | undefined,
): FetchedManifest {
  const digest = digestOf(bytes, wanted === undefined ? 'sha256' : digestAlgorithm(wanted))
  const announced = response.header('docker-content-digest')
  if (wanted !== undefined && digest !== wanted) throw wrongDigest(step, response, digest, wanted)
  if (wanted === undefined && announced !== undefined && isDigest(announced)) {
    const actual = digestOf(bytes, digestAlgorithm(announced))
    if (actual !== announced) throw wrongDigest(step, response, actual, announced)
  }
  if (expected !== undefined && expected.size !== bytes.length)
    throw stepError(step, `the manifest ${digest} has ${bytes.length} bytes, ${expected.size} were announced`)
  const contentType = response.header('content-type')
  const manifest = parseManifest(bytes, contentType, `the manifest ${digest} from ${response.url.host}`)
  if (expected !== undefined && manifest.mediaType !== expected.mediaType)
    throw stepError(
      step,
      `the manifest ${digest} is of type ${manifest.mediaType}, ${JSON.stringify(expected.mediaType)} was announced`,
    )
  return { descriptor: { mediaType: manifest.mediaType, digest, size: bytes.length }, bytes, manifest }
}

function wrongDigest(step: Step, response: HttpResponse, actual: Digest, wanted: Digest): CofferError {
  return stepError(step, `${response.url.host} sent a manifest with the digest ${actual} for ${wanted}`, {
    hint: 'The registry, or something on the way from it, sent wrong bytes. Nothing of them was used.',
    details: { digest: wanted, reason: 'digest_mismatch' },
  })
}

async function requestManifest(
  { host, repository }: Endpoint,
  step: Step,
  reference: ImageReference,
  method: 'GET' | 'HEAD',
  signal: AbortSignal | undefined,
): Promise<HttpResponse> {
  return await host.request(step, {
    path: `${repository}/manifests/${reference.digest ?? reference.tag ?? 'latest'}`,
    method,
    scopes: [`repository:${repository}:pull`],
    headers: { accept: acceptedManifests },
    signal,
    // A refusal of HEAD has no body to say why: GET is asked then.
    expect: method === 'HEAD' ? [200, 400, 405, 406, 501] : [200],
  })
}

/** What the headers say, if they say all of it. */
function describe(response: HttpResponse, wanted: Digest | undefined): Descriptor | undefined {
  if (response.status !== 200) return undefined
  const digest = response.header('docker-content-digest') ?? wanted
  const mediaType = bareMediaType(response.header('content-type') ?? '')
  const length = response.header('content-length')
  if (digest === undefined || !isDigest(digest) || length === undefined || !/^[1-9]\d{0,14}$/.test(length))
    return undefined
  if (!isIndexType(mediaType) && !isManifestType(mediaType)) return undefined
  // Another digest than was asked for: fetching it will show what it is.
  if (wanted !== undefined && digest !== wanted) return undefined
  return { mediaType, digest, size: Number(length) }
}

function stepFor(verb: string, reference: ImageReference): Step {
  return {
    what: `${verb} ${formatReference(reference)}`,
    host: reference.registry,
    code: 'image_pull_failed',
  }
}
