import { writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** Pages of guest memory, from the first up to the second. */
export type PageRange = readonly [from: number, to: number]

const pageBytes = 4096
const chunkPages = 256
const emptyPage = Buffer.alloc(pageBytes)
/** Empty pages between two ranges that are not worth two. */
const shortGap = 16

/**
 * Where a memory file holds anything. It reads all of it, holes too: Node has no lseek(2) to ask where they are. So this is done once for a boot
 * template, and not at each copy of it.
 */
export async function findUsedPages(path: string): Promise<PageRange[]> {
  await using file = await open(path, 'r')
  const { size } = await file.stat()
  const ranges: [from: number, to: number][] = []
  for await (const { page } of usedPages(file, [[0, size / pageBytes]])) {
    const last = ranges.at(-1)
    if (last !== undefined && page - last[1] < shortGap) last[1] = page + 1
    else ranges.push([page, page + 1])
  }
  return ranges
}

/**
 * Copies a memory file of which `ranges` are in use. Each page by a write of its own: what is written at once may become one large folio of the page
 * cache, and when a box touches a page of one, Linux (6.18) maps all of it: 7 MB for each box that it never reads.
 */
export async function copyMemory(from: string, to: string, ranges: readonly PageRange[]): Promise<void> {
  await using source = await open(from, 'r')
  await using target = await open(to, 'wx', 0o600)
  await target.truncate((await source.stat()).size)
  for await (const { page, bytes } of usedPages(source, ranges))
    for (let done = 0; done < pageBytes; )
      done += writeSync(target.fd, bytes, done, pageBytes - done, page * pageBytes + done)
}

/** The bytes of a page are overwritten by those that follow. */
async function* usedPages(
  file: FileHandle,
  ranges: readonly PageRange[],
): AsyncGenerator<{ readonly page: number; readonly bytes: Buffer }, void, undefined> {
  const chunk = Buffer.alloc(chunkPages * pageBytes)
  for (const [from, to] of ranges)
    for (let first = from; first < to; first += chunkPages) {
      const length = Math.min(chunkPages, to - first) * pageBytes
      const { bytesRead } = await file.read(chunk, 0, length, first * pageBytes)
      for (let at = 0; at + pageBytes <= bytesRead; at += pageBytes) {
        const bytes = chunk.subarray(at, at + pageBytes)
        if (!bytes.equals(emptyPage)) yield { page: first + at / pageBytes, bytes }
      }
    }
}
