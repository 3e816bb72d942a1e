import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Writes beside and renames, so that a reader and a crash see the old content or the new, never a part.
 * `durable` also waits for the disk: leave it out for what is worthless after the host's crash (pid files).
 */
export function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: { durable?: boolean; mode?: number } = {},
): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const descriptor = openSync(temporary, 'w', options.mode ?? 0o600)
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      for (let position = 0; position < bytes.length; ) position += writeSync(descriptor, bytes, position)
      if (options.durable) fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, path)
    if (options.durable) syncDirectory(dirname(path))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** A rename is durable once its directory is. */
export function syncDirectory(path: string): void {
  syncFile(path)
}

/** What others have written to a file is on the disk when this returns. */
export function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
