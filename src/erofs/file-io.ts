import type { FileHandle } from 'node:fs/promises'
import { CofferError, systemErrorCode } from '../errors.ts'

/** Writes all of `bytes`: one call may write less, on a full disk for one. @throws `storage_error` */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const { bytesWritten } = await attempt('write', () =>
      file.write(bytes, done, bytes.length - done, position + done),
    )
    done += bytesWritten
  }
}

/** Reads from `position` until `target` is full or the file ends; gives the count. @throws `storage_error` */
export async function readFully(file: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0
  while (done < target.length) {
    const { bytesRead } = await attempt('read', () =>
      file.read(target, done, target.length - done, position + done),
    )
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

/** Runs one step on an image file. @throws `storage_error` naming the step */
export async function attempt<T>(step: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (cause) {
    const full = systemErrorCode(cause) === 'ENOSPC' || systemErrorCode(cause) === 'EDQUOT'
    throw new CofferError(
      'storage_error',
      `cannot ${step} image file: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        hint: full
          ? 'Free some disk space and try again.'
          : 'Check the disk and the permissions of the directory.',
        cause,
      },
    )
  }
}
