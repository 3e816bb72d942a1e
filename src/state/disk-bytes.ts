import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { systemErrorCode } from '../errors.ts'

/** What a file takes on the disk: these are sparse. Nothing for one that is gone. */
export function diskBytes(path: string): number {
  const blockBytes = 512
  return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * blockBytes
}

/** What a directory takes with all that is in it. */
export function treeBytes(path: string): number {
  const inside = namesIn(path).reduce((sum, name) => sum + treeBytes(join(path, name)), 0)
  return diskBytes(path) + inside
}

/** Nothing for a file, or for what was removed meanwhile. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return []
    throw error
  }
}
