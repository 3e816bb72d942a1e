import { statfsSync } from 'node:fs'
import { CofferError, isCofferError } from '../errors.ts'
import type { Home } from '../state/home.ts'
import { defaultLayerLimits } from './layer/limits.ts'

/** What images leave to the rest: boxes write to the same disk. */
const reserveBytes = 64 * 1024 ** 2

/** What images may still take of the home's disk, in bytes. */
function availableBytes(home: Home): number {
  const { bavail, bsize } = statfsSync(home.images)
  return Math.max(0, bavail * bsize - reserveBytes)
}

/** Throws `storage_error` if `bytes` more would fill the home's disk. */
export function checkDiskSpace(home: Home, bytes: number, step: string): void {
  const available = availableBytes(home)
  if (bytes <= available) return
  throw new CofferError(
    'storage_error',
    `cannot ${step}: it needs ${mib(bytes)} MiB, and the disk of ${home.path} has ${mib(available)} MiB to spare`,
    { hint: spaceHint, details: { neededBytes: bytes, availableBytes: available } },
  )
}

/** The error of a merge that came to the limit of `mergeLimit`: if that was the disk's, it says so. */
export function mergeError(home: Home, limitBytes: number, error: unknown): unknown {
  if (!isCofferError(error, 'resource_exhausted') || limitBytes === defaultLayerLimits.maxBytes) return error
  return new CofferError(
    'storage_error',
    `cannot prepare the image: its files have more than the ${mib(limitBytes)} MiB the disk of ${home.path} has to spare`,
    { hint: spaceHint, cause: error, details: { availableBytes: limitBytes } },
  )
}

const spaceHint = 'Free some space (coffer prune), or use a home on another disk (--home).'

/** How large merged layers may become: what is usual, or what the disk has beside `reservedBytes`. */
export function mergeLimit(home: Home, reservedBytes: number): number {
  return Math.min(defaultLayerLimits.maxBytes, Math.max(0, availableBytes(home) - reservedBytes))
}

function mib(bytes: number): number {
  return Math.ceil(bytes / 1024 ** 2)
}
