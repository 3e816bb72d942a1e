import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import type { Home } from '../state/home.ts'
import type { ManifestRow } from '../state/images.ts'
import type { Store } from '../state/store.ts'
import { isBuiltIn } from './builtin.ts'
import { daemonCandidates, isDaemonName } from './daemon-name.ts'
import {
  familiarReference,
  formatReference,
  type ImageReference,
  parseReference,
  referenceCandidates,
} from './reference.ts'
import type { RegistryOptions, RegistrySettings } from './registry/settings.ts'

export type ImageSettings = {
  /** In place of what `registries.json` of the home says about the same thing. */
  readonly registries?: RegistryOptions | undefined
  /** What images may take of the disk, all in all. */
  readonly maxBytes?: number | undefined
  readonly parallelDownloads: number
}

/** What everything about the images of a home needs. */
export type ImageContext = {
  readonly home: Home
  readonly store: Store
  readonly settings: ImageSettings
}

const wholeIdPattern = /^(?:sha256:)?[0-9a-f]{64}$/
const idPattern = /^(?:sha256:)?[0-9a-f]{12,64}$/

/** Throws `invalid_argument` unless `name` could name an image: a reference, one of the local daemon, or the id of one that is here. */
export function checkImageName(name: string): void {
  if (isDaemonName(name)) daemonCandidates(name)
  else if (!isBuiltIn(name) && !isImageId(name)) parseReference(name)
}

/** `sha256:` and 64 digits, or only those: no registry is asked for that. */
export function isImageId(name: string): boolean {
  return wholeIdPattern.test(name)
}

/** The image of the home that a name means: as a reference, else as an id or the beginning of one (12 digits at least). */
export async function findImage(context: ImageContext, name: string): Promise<ManifestRow | undefined> {
  const { images } = context.store
  if (isBuiltIn(name)) return undefined
  if (!isImageId(name))
    for (const reference of await candidatesOf(context, name)) {
      const found = images.findName(canonicalName(reference))
      if (found !== undefined) return images.find(found.manifestDigest)
      // What is here under another name may be meant by its digest as well.
      const pinned = reference.digest === undefined ? undefined : images.find(reference.digest)
      if (pinned !== undefined) return pinned
    }
  return idPattern.test(name) ? findById(context, name) : undefined
}

/** `findImage`. Throws `not_found`. */
export async function requireImage(context: ImageContext, name: string): Promise<ManifestRow> {
  const found = await findImage(context, name)
  if (found !== undefined) return found
  throw new CofferError('not_found', `there is no image ${name} here`, {
    hint: 'coffer images lists what is here; coffer pull fetches more.',
    details: { image: name },
  })
}

/** What a name may mean, in the order in which it is looked for. Throws `invalid_argument`, `config_error`. */
export async function candidatesOf(
  { home, settings }: ImageContext,
  name: string,
): Promise<ImageReference[]> {
  if (isDaemonName(name)) return daemonCandidates(name)
  const isConfigured = settings.registries !== undefined || existsSync(join(home.path, 'registries.json'))
  const search = isConfigured ? (await loadSettings({ home, settings })).search : []
  return referenceCandidates(name, search)
}

export async function loadSettings({
  home,
  settings,
}: Pick<ImageContext, 'home' | 'settings'>): Promise<RegistrySettings> {
  const { loadRegistrySettings } = await import('./registry/settings.ts')
  return loadRegistrySettings(home.path, settings.registries)
}

/** How a reference is stored. With a digest the tag says nothing, as in Docker. */
export function canonicalName({ tag, ...reference }: ImageReference): string {
  return formatReference(
    reference.digest === undefined && tag !== undefined ? { ...reference, tag } : reference,
  )
}

/** A stored name in its short form, unless that would mean the built-in image or one of the local daemon. */
export function shownName(reference: string): string {
  const short = familiarReference(parseReference(reference))
  return isBuiltIn(short) || isDaemonName(short) ? reference : short
}

function findById({ store }: ImageContext, id: string): ManifestRow | undefined {
  const [found, ...others] = store.images.findByPrefix(id.startsWith('sha256:') ? id : `sha256:${id}`)
  if (others.length === 0) return found
  throw new CofferError('invalid_argument', `${id} is the beginning of ${others.length + 1} ids of images`, {
    hint: 'Give more digits of it.',
  })
}
