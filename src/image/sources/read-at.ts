import { Buffer } from 'node:buffer'
import type { FileHandle } from 'node:fs/promises'
import { CofferError } from '../../errors.ts'

/** Exactly `length` bytes of a file. Throws `storage_error` if it has become shorter. */
export async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, done, length - done, offset + done)
    if (bytesRead === 0)
      throw new CofferError('storage_error', 'the file became shorter while it was read', {
        hint: 'Try again when nothing writes to it.',
      })
    done += bytesRead
  }
  return buffer
}
