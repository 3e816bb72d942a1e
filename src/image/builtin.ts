import { createHash } from 'node:crypto'
import { existsSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory } from '../state/atomic-file.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { acquireLock } from '../state/lock.ts'
import { blockDeviceBytes } from '../vm/machine.ts'
import { baseImageConfig } from './base-config.ts'
import type { ImageConfig } from './config.ts'
import type { ImageProgressListener } from './progress.ts'

export type BuiltInOptions = {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ImageProgressListener | undefined
}

/**
 * Whether a name means the image that is always there, without a registry: `busybox`, also with the tag `latest`. Every other spelling
 * (`busybox:1.36`, `library/busybox`, `docker.io/library/busybox`) means the one of Docker Hub.
 */
export function isBuiltIn(name: string): boolean {
  return name === 'busybox' || name === 'busybox:latest'
}

export const builtInConfig: ImageConfig = {
  entrypoint: [],
  command: baseImageConfig.Cmd,
  env: Object.fromEntries(baseImageConfig.Env.map(entry => entry.split(/=(.*)/s).slice(0, 2))),
  workdir: baseImageConfig.WorkingDir,
  user: undefined,
  labels: {},
  stopSignal: undefined,
  volumes: [],
  exposedPorts: [],
  healthCheck: undefined,
}

/** The path of the built-in image, prepared now if it is not yet. */
export async function ensureBuiltIn(
  home: Home,
  busybox: string,
  options: BuiltInOptions = {},
): Promise<string> {
  const path = builtInPath(home, busybox)
  if (!existsSync(path)) await prepare(home, busybox, path, options)
  return path
}

export function builtInPath(home: Home, busybox: string): string {
  return join(home.images, `busybox-${fingerprint(busybox)}.erofs`)
}

/** Whether a file of `images/` is a built-in image, of this version or another. */
export function isBuiltInFile(name: string): boolean {
  return /^busybox-[0-9a-f]{16}\.erofs$/.test(name)
}

async function prepare(home: Home, busybox: string, path: string, options: BuiltInOptions): Promise<void> {
  using _lock = await acquireLock(join(home.locks, 'image-busybox'), { signal: options.signal })
  if (existsSync(path)) return
  options.onProgress?.({ step: 'preparing image busybox' })
  const { buildBaseImage } = await import('./base-image.ts')
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

/** Raised when the built-in image gets other content from the same binary. */
const revision = 2

// Hashing two megabytes at every start would cost milliseconds: size and time tell when the distribution's binary changes.
function fingerprint(path: string): string {
  const { size, mtimeNs } = statSync(path, { bigint: true })
  return createHash('sha256').update(`${revision}:${size}:${mtimeNs}`).digest('hex').slice(0, 16)
}
