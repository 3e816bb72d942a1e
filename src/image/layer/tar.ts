import { Buffer } from 'node:buffer'
import type { CofferError } from '../../errors.ts'
import { invalidArchive, overLimit } from './archive-error.ts'
import { ByteReader } from './byte-reader.ts'
import { openTarEntry, type TarEntry, type TarExtensions } from './tar-entry.ts'
import { parseTarHeader, type TarHeader, tarBlockBytes } from './tar-header.ts'
import { parseText } from './tar-number.ts'
import { keepGlobalRecords, parsePaxRecords } from './tar-pax.ts'

export type TarLimits = {
  /** Bytes of one extension header: attributes, long names, the map of a sparse file. Default 1 MiB. */
  readonly maxExtensionBytes?: number | undefined
}

const defaultMaxExtensionBytes = 1024 * 1024
// Beyond PATH_MAX by far; what is longer than that is refused where it is used.
const maxLongNameBytes = 64 * 1024
const noExtensions: TarExtensions = { records: [], longName: undefined, longLink: undefined }

/**
 * Reads a tar archive of any dialect: v7, ustar, star, PAX, GNU. As for GNU tar, a block of zeros ends it, and so does the end
 * of the source between two entries. The source is read to its end in either case; leaving the loop early closes it.
 *
 * @throws `invalid_argument` for an archive that is malformed or cut short; `resource_exhausted` for an extension header over
 *   the limit; `unsupported` for an unknown type of entry; what the source throws
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = {},
): AsyncGenerator<TarEntry, void, void> {
  const maxExtensionBytes = limits.maxExtensionBytes ?? defaultMaxExtensionBytes
  const reader = new ByteReader(source, truncated)
  const globals = new Map<string, Buffer>()
  let extensions = noExtensions
  try {
    for (;;) {
      // 1. A header, or the end.
      const offset = reader.position
      const block = reader.takeNow(tarBlockBytes) ?? (await reader.take(tarBlockBytes))
      const header = block === undefined ? undefined : parseTarHeader(block, offset)
      if (block === undefined || header === undefined) break

      // 2. Extension headers add up until the entry they belong to.
      if (header.flag in extenders) {
        extensions = await extend(extensions, header, globals, reader, maxExtensionBytes)
        continue
      }

      // 3. The entry, and behind it what its user has not read.
      const { entry, body } = await openTarEntry(header, block, extensions, globals, {
        reader,
        maxExtensionBytes,
      })
      extensions = noExtensions
      yield entry
      await body.finish()
    }
    if (extensions !== noExtensions) throw truncated(reader.position)
    await reader.drain()
  } finally {
    await reader.close()
  }
}

/** All of an entry's content, for small files only. @throws `resource_exhausted` beyond `maxBytes` */
export async function readContent(entry: TarEntry, maxBytes: number): Promise<Buffer> {
  if (entry.size > maxBytes)
    throw overLimit(`${JSON.stringify(entry.path)} has ${entry.size} bytes`, `${maxBytes} bytes`)
  if (entry.content instanceof Uint8Array) return Buffer.from(entry.content)
  const chunks: Uint8Array[] = []
  for await (const chunk of entry.content) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const truncated = (offset: number): CofferError =>
  invalidArchive(`it ends at byte ${offset}, in the middle of an entry`, { reason: 'truncated', offset })

// x and X (Solaris) are PAX's, L and K GNU's long name and long link. V is GNU's name of the volume: no file.
const extenders = { x: true, X: true, g: true, L: true, K: true, V: true } as const

async function extend(
  extensions: TarExtensions,
  header: TarHeader,
  globals: Map<string, Buffer>,
  reader: ByteReader,
  maxExtensionBytes: number,
): Promise<TarExtensions> {
  const { flag, size } = header
  const most = flag === 'L' || flag === 'K' ? maxLongNameBytes : maxExtensionBytes
  if (size > most) throw overLimit(`an extension header has ${size} bytes`, `${most} bytes`, { size })
  const padded = Math.ceil(size / tarBlockBytes) * tarBlockBytes
  const bytes = size === 0 ? Buffer.alloc(0) : (await reader.require(padded)).subarray(0, size)
  switch (flag) {
    case 'L':
      return { ...extensions, longName: parseText(bytes) }
    case 'K':
      return { ...extensions, longLink: parseText(bytes) }
    case 'g':
      keepGlobalRecords(globals, parsePaxRecords(bytes))
      return extensions
    case 'V':
      return extensions
    default:
      return { ...extensions, records: parsePaxRecords(bytes) }
  }
}
