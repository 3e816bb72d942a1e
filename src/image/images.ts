import { createHash } from 'node:crypto'
import { existsSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import { syncDirectory } from '../state/atomic-file.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { acquireLock } from '../state/lock.ts'
import { blockDeviceBytes } from '../vm/machine.ts'
import { baseImageConfig, buildBaseImage } from './base-image.ts'

/** An image as boxes use it: one read-only EROFS file and what it says about running commands. */
export type Image = {
  readonly path: string
  readonly env: Readonly<Record<string, string>>
  readonly workdir: string | undefined
  readonly user: string | undefined
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
}

export type ImageOptions = {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: { step: string; detail?: string }) => void) | undefined
}

/** Throws `not_found` unless `name` is an image this home can give: the built-in one. */
export function checkImageName(name: string): void {
  if (name === 'busybox' || name === 'busybox:latest') return
  throw new CofferError('not_found', `there is no image ${name}`, {
    hint: 'The built-in image busybox is the only one yet; leave the image out to use it.',
    details: { image: name },
  })
}

/** The image of that name, prepared now if it is not yet. */
export async function ensureImage(
  home: Home,
  name: string,
  busybox: string,
  options: ImageOptions = {},
): Promise<Image> {
  checkImageName(name)
  const path = join(home.images, `busybox-${fingerprint(busybox)}.erofs`)
  if (!existsSync(path)) await prepareBaseImage(home, busybox, path, options)
  return { path, ...imageDefaults() }
}

async function prepareBaseImage(
  home: Home,
  busybox: string,
  path: string,
  options: ImageOptions,
): Promise<void> {
  using _lock = await acquireLock(join(home.locks, 'image-busybox'), { signal: options.signal })
  if (existsSync(path)) return
  options.onProgress?.({ step: 'preparing image busybox' })
  const staging = temporaryPath(home, 'image')
  try {
    await buildBaseImage(busybox, staging)
    // Sparse: the guest must see one capacity whatever image lies behind its device.
    truncateSync(staging, blockDeviceBytes)
    await using file = await open(staging, 'r')
    await file.sync()
    renameSync(staging, path)
    syncDirectory(home.images)
  } finally {
    rmSync(staging, { force: true })
  }
}

function imageDefaults(): Omit<Image, 'path'> {
  const env = Object.fromEntries(baseImageConfig.Env.map(entry => entry.split(/=(.*)/s).slice(0, 2)))
  return {
    env,
    workdir: baseImageConfig.WorkingDir,
    user: undefined,
    entrypoint: [],
    command: baseImageConfig.Cmd,
  }
}

/** Raised when the built-in image gets other content from the same binary. */
const baseImageRevision = 2

// Hashing two megabytes at every start would cost milliseconds: size and time tell when the distribution's binary changes.
function fingerprint(path: string): string {
  const { size, mtimeNs } = statSync(path, { bigint: true })
  return createHash('sha256').update(`${baseImageRevision}:${size}:${mtimeNs}`).digest('hex').slice(0, 16)
}
