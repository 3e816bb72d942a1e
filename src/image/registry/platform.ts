import { CofferError } from '../../errors.ts'
import type { Descriptor, ImageIndex, Platform } from './manifest.ts'
import { isIndexType } from './media-types.ts'

/** What boxes run. */
export const defaultPlatform: Platform = { os: 'linux', architecture: 'amd64' }

/** Reads `linux/amd64` or `linux/arm64/v8`. Throws `invalid_argument`. */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant, ...more] = text.toLowerCase().split('/')
  const wrong = [os, architecture, variant ?? 'v1'].some(part => !/^[a-z0-9][a-z0-9._-]{0,31}$/.test(part))
  if (wrong || more.length > 0)
    throw new CofferError('invalid_argument', `${JSON.stringify(text.slice(0, 100))} is no platform`, {
      hint: 'A platform is OS/ARCHITECTURE[/VARIANT], for example linux/amd64.',
    })
  return normalized({ os, architecture, ...(variant === undefined ? {} : { variant }) })
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(part => part !== undefined).join('/')
}

/**
 * The image for a platform: of its variant or of the best one that it can run. `what` is for messages.
 * Throws `not_found` listing the platforms there are, `unsupported` for an index inside the index.
 */
export function selectPlatform(
  index: ImageIndex,
  wanted: Platform = defaultPlatform,
  what = 'the image',
): Descriptor {
  const candidates = index.manifests.filter(({ platform }) => platform !== undefined)
  for (const acceptable of acceptableVariants(normalized(wanted))) {
    const found = candidates.find(({ platform }) => platform && same(normalized(platform), acceptable))
    if (found === undefined) continue
    if (isIndexType(found.mediaType))
      throw new CofferError(
        'unsupported',
        `${what} is an index inside an index for ${formatPlatform(wanted)}`,
        {
          hint: 'Name the inner index by its digest.',
        },
      )
    return found
  }
  // An index with one image that says nothing of its platform is what `umoci` and `buildah` write for "any".
  const [only, ...others] = index.manifests
  if (
    only !== undefined &&
    others.length === 0 &&
    only.platform === undefined &&
    !isIndexType(only.mediaType)
  )
    return only
  const available = availablePlatforms(index)
  throw new CofferError('not_found', `${what} has no variant for ${formatPlatform(wanted)}`, {
    hint:
      available.length === 0 ? 'It names no platform.' : `There is: ${available.slice(0, 20).join(', ')}.`,
    details: { platform: formatPlatform(wanted), available },
  })
}

export function availablePlatforms(index: ImageIndex): string[] {
  // Buildx keeps attestations beside the images, under a platform that cannot be.
  const known = index.manifests.filter(({ platform }) => platform !== undefined && platform.os !== 'unknown')
  return [...new Set(known.map(({ platform }) => (platform ? formatPlatform(platform) : '')))]
}

/** Several spellings are one platform: those of containerd's `platforms.Normalize`. */
function normalized({ os, architecture, variant }: Platform): Platform {
  const name = os.toLowerCase()
  const [plain, implied] = architectureAliases.get(architecture.toLowerCase()) ?? [
    architecture.toLowerCase(),
    undefined,
  ]
  const level = (variant ?? implied)?.toLowerCase()
  const isDefault = level === variants.get(plain)?.implied
  return { os: name, architecture: plain, ...(level === undefined || isDefault ? {} : { variant: level }) }
}

const architectureAliases = new Map<string, readonly [string, string?]>([
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['i386', ['386']],
  ['i686', ['386']],
  ['aarch64', ['arm64']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
])

/** By architecture: the variant that is meant where none is said, and the least one there is. */
const variants = new Map([
  ['amd64', { implied: 'v1', least: 1 }],
  ['arm64', { implied: 'v8', least: 8 }],
  ['arm', { implied: 'v7', least: 5 }],
])

/** A processor runs what was built for its own level and for lower ones, best first. */
function acceptableVariants(platform: Platform): Platform[] {
  const { os, architecture, variant } = platform
  const known = variants.get(architecture)
  const level = Number(/^v(\d)$/.exec(variant ?? known?.implied ?? '')?.[1])
  if (Number.isNaN(level)) return [platform]
  const least = known?.least ?? level
  return Array.from({ length: Math.max(1, level - least + 1) }, (_, step) =>
    normalized({ os, architecture, variant: `v${level - step}` }),
  )
}

function same(one: Platform, other: Platform): boolean {
  return one.os === other.os && one.architecture === other.architecture && one.variant === other.variant
}
