import { isCofferError } from '../errors.ts'
import type { ImageInfo } from '../image/describe.ts'
import type { BoxOptions } from '../runtime/options.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { ProgressMode } from './progress.ts'
import { withProgress } from './start-box.ts'

/** Begins the name of an image that Docker or Podman of this machine has. */
const prefix = 'docker-daemon:'

export function isDaemonImage(name: string): boolean {
  return name.startsWith(prefix)
}

/** A box's options with the name by which the library knows its image: one of the local daemon is fetched from there, if the policy wants it. */
export async function withBoxImage(
  runtime: Runtime,
  options: BoxOptions,
  signal?: AbortSignal,
): Promise<BoxOptions> {
  const { image = '', pull = 'missing' } = options
  if (!isDaemonImage(image)) return options
  const { formatReference, parseReference } = await import('../image/reference.ts')
  // In full: the short form may mean the built-in image.
  const inFull = (name: string): string => formatReference(parseReference(name))
  const name = inFull(image.slice(prefix.length))
  const isWanted = pull === 'always' || (pull === 'missing' && !(await isHere(runtime, name)))
  const [loaded] = isWanted ? await loadDaemonImage(runtime, image, signal) : []
  // Podman may know it by another name.
  const [loadedName] = loaded?.names ?? []
  const known = loadedName === undefined ? (loaded?.digest ?? name) : inFull(loadedName)
  // What is here now must not be looked for in a registry.
  return { ...options, image: known, pull: 'never' }
}

export async function loadDaemonImage(
  runtime: Runtime,
  name: string,
  signal?: AbortSignal,
  mode: ProgressMode = 'long',
): Promise<readonly ImageInfo[]> {
  return withProgress(async onProgress => {
    onProgress({ step: `loading ${name}` })
    return runtime.images.load(name, signal === undefined ? {} : { signal })
  }, mode)
}

async function isHere(runtime: Runtime, name: string): Promise<boolean> {
  try {
    await runtime.images.get(name)
    return true
  } catch (error) {
    if (isCofferError(error, 'not_found')) return false
    throw error
  }
}
