import { CofferError, type ErrorCode } from '../../errors.ts'
import { type Digest, isDigest } from '../digest.ts'
import { bareMediaType, isConfigType, isIndexType, isManifestType, isSchema1Type } from './media-types.ts'

/** Content by its digest, size in bytes and media type. */
export type Descriptor = {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly platform?: Platform
  readonly annotations?: Readonly<Record<string, string>>
}

export type Platform = {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

/** One image: a configuration and the layers of its file system, lowest first. */
export type ImageManifest = {
  readonly kind: 'manifest'
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
}

/** One name for the images of several platforms. */
export type ImageIndex = {
  readonly kind: 'index'
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations: Readonly<Record<string, string>>
}

/** Docker's own registry refuses larger ones. */
export const maxManifestBytes = 4 << 20
const maxDescriptors = 4096
const maxTextLength = 4096

/**
 * Reads a manifest or an index. What the sender called it, what it calls itself and what it is must be the same thing: whoever
 * checks a digest must not be shown an image that another reader takes for a list of images (CVE-2021-41190).
 * `declared` is the media type from outside: Content-Type, or the descriptor that led here. `what` is for messages.
 * Throws `unsupported` for Docker's schema 1 and what is no image, `image_pull_failed` for everything that is malformed.
 */
export function parseManifest(
  bytes: Uint8Array,
  declared: string | undefined,
  what = 'the manifest',
): ImageManifest | ImageIndex {
  const fail = (problem: string, code: ErrorCode = 'image_pull_failed', hint?: string) =>
    new CofferError(code, `${what} is not usable: ${problem}`, { hint })
  if (bytes.length > maxManifestBytes) throw fail(`it has more than ${maxManifestBytes} bytes`)
  const outside = declared === undefined ? undefined : bareMediaType(declared)
  const root = objectOf(parseJson(bytes, fail), 'it', fail)
  if ((outside !== undefined && isSchema1Type(outside)) || root['schemaVersion'] === 1)
    throw fail('it has the format of before 2016 (schema 1)', 'unsupported', schema1Hint)
  if (root['schemaVersion'] !== 2) throw fail('its schemaVersion is not 2')

  const mediaType = agreedMediaType(outside, root['mediaType'], fail)
  const annotations = annotationsOf(root['annotations'], fail) ?? {}
  const hasIndexParts = root['manifests'] !== undefined
  const hasManifestParts = root['config'] !== undefined || root['layers'] !== undefined
  if (root['fsLayers'] !== undefined || root['history'] !== undefined)
    throw fail('it has parts of a schema 1 manifest')
  if (isIndexType(mediaType)) {
    if (!hasIndexParts || hasManifestParts)
      throw fail('it calls itself an index and does not have the form of one')
    return {
      kind: 'index',
      mediaType,
      manifests: descriptorsOf(root['manifests'], 'manifests', fail),
      annotations,
    }
  }
  if (hasIndexParts || !hasManifestParts)
    throw fail('it calls itself an image and does not have the form of one')
  const config = descriptorOf(root['config'], 'config', fail)
  if (!isConfigType(config.mediaType))
    throw fail(`it holds ${shown(config.mediaType)}, which is no image that can run`, 'unsupported')
  return {
    kind: 'manifest',
    mediaType,
    config,
    layers: descriptorsOf(root['layers'], 'layers', fail),
    annotations,
  }
}

type Fail = (problem: string, code?: ErrorCode, hint?: string) => CofferError

/** Types that say nothing: what servers give for a file of which they know no more. */
const meaninglessTypes = ['', 'application/json', 'application/octet-stream', 'text/plain']

function agreedMediaType(outside: string | undefined, inside: unknown, fail: Fail): string {
  if (inside !== undefined && typeof inside !== 'string') throw fail('its mediaType is no text')
  const meaningless = outside === undefined || meaninglessTypes.includes(outside)
  // OCI allows to leave it out inside, where Docker's format demands it.
  const mediaType = meaningless ? inside : outside
  if (mediaType === undefined) throw fail('nothing says of which media type it is')
  if (inside !== undefined && inside !== mediaType)
    throw fail(`it was sent as ${shown(mediaType)} and calls itself ${shown(inside)}`)
  if (!isIndexType(mediaType) && !isManifestType(mediaType))
    throw fail(`${shown(mediaType)} is no media type of an image`, 'unsupported')
  return mediaType
}

function parseJson(bytes: Uint8Array, fail: Fail): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    throw fail('it is no JSON')
  }
}

function descriptorsOf(value: unknown, field: string, fail: Fail): Descriptor[] {
  if (!Array.isArray(value)) throw fail(`its ${field} are no list`)
  if (value.length > maxDescriptors) throw fail(`it has more than ${maxDescriptors} ${field}`)
  return value.map((item: unknown, index) => descriptorOf(item, `${field}[${index}]`, fail))
}

// `urls` is left out: where a layer is fetched from is not for the layer to say. So is `data`: content comes by its digest.
function descriptorOf(value: unknown, field: string, fail: Fail): Descriptor {
  const item = objectOf(value, field, fail)
  const { mediaType, digest, size } = item
  if (typeof mediaType !== 'string' || mediaType.length > 255) throw fail(`${field} has no media type`)
  if (typeof digest !== 'string' || !isDigest(digest)) throw fail(`${field} has no digest`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw fail(`${field} has no size`)
  const platform = platformOf(item['platform'], field, fail)
  const annotations = annotationsOf(item['annotations'], fail)
  return { mediaType, digest, size, ...(platform && { platform }), ...(annotations && { annotations }) }
}

function platformOf(value: unknown, field: string, fail: Fail): Platform | undefined {
  if (value === undefined || value === null) return undefined
  const { os, architecture, variant } = objectOf(value, `${field}.platform`, fail)
  const isName = (name: unknown): name is string => typeof name === 'string' && name.length <= 64
  if (!isName(os) || !isName(architecture)) throw fail(`${field} has a platform without os and architecture`)
  if (variant === undefined || variant === null || variant === '') return { os, architecture }
  if (!isName(variant)) throw fail(`${field} has a platform with a wrong variant`)
  return { os, architecture, variant }
}

function annotationsOf(value: unknown, fail: Fail): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined
  const entries = Object.entries(objectOf(value, 'annotations', fail))
  for (const [, text] of entries) if (typeof text !== 'string') throw fail('its annotations are no texts')
  return Object.fromEntries(entries.map(([name, text]) => [name, String(text).slice(0, maxTextLength)]))
}

function objectOf(value: unknown, field: string, fail: Fail): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail(`${field} is no object`)
  return value as Record<string, unknown>
}

function shown(mediaType: string): string {
  return JSON.stringify(mediaType.slice(0, 100))
}

const schema1Hint = 'Push the image again with a current tool, or convert it: skopeo copy --format v2s2.'
