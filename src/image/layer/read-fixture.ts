import assert from 'node:assert/strict'
import type { Buffer } from 'node:buffer'
import { isCofferError } from '../../errors.ts'
import { readContent, readTar } from './tar.ts'
import type { TarEntry } from './tar-entry.ts'
import { inChunks, tarArchive } from './tar-fixture.ts'

export type Read = Omit<TarEntry, 'content'> & { readonly content: string }

/** Everything in an archive, contents as latin1. */
export async function readAll(archive: Buffer, chunk = archive.length || 1): Promise<Read[]> {
  const entries: Read[] = []
  for await (const entry of readTar(inChunks(archive, chunk)))
    entries.push({
      ...entry,
      content: (await readContent(entry, Number.MAX_SAFE_INTEGER)).toString('latin1'),
    })
  return entries
}

export const readOne = async (...items: Parameters<typeof tarArchive>[0]): Promise<Read> => {
  const [entry] = await readAll(tarArchive(items))
  assert.ok(entry)
  return entry
}

export const refuses = (archive: Buffer, message: RegExp, code = 'invalid_argument'): Promise<void> =>
  assert.rejects(
    readAll(archive),
    error => isCofferError(error) && error.code === code && message.test(error.message),
  )
