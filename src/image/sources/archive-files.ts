import { Buffer } from 'node:buffer'
import { posix } from 'node:path'
import { CofferError } from '../../errors.ts'
import type { ContentStore } from '../content.ts'
import { type Digest, parseDigest } from '../digest.ts'
import { type Compression, compressionOf, decompress } from '../layer/decompress.ts'
import { entryPath } from '../layer/entry-path.ts'
import { readTar } from '../layer/tar.ts'
import type { TarEntry } from '../layer/tar-entry.ts'
import { checkAborted } from '../save/hold-images.ts'
import { invalidSource } from './source-error.ts'

/** A file of an archive, which is in the content store now. */
export type ArchivedFile = {
  readonly digest: Digest
  readonly bytes: number
  /** By its first bytes. */
  readonly compression: Compression
}

export type ArchiveOptions = {
  /** Of all files together, and of the archive before its compression. */
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes of each piece of the archive. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

// Docker's archives have three files for each layer, and an image has at most some hundred layers.
const maxEntries = 100_000
const maxNameBytes = 16 * 1024 * 1024
const maxPathBytes = 4096
// Docker's own exports link a layer to its twin directly.
const maxLinks = 8

/** The files of an archive of images by their names in it. Names are matched, and never lead to anything on the host. */
export class ArchiveFiles {
  readonly #files = new Map<string, ArchivedFile>()
  readonly #links = new Map<string, string>()

  /**
   * Reads an archive (plain, gzip or zstd) in one pass, its files into the content store: which of them are layers is said by one
   * that may come last.
   *
   * @throws `invalid_argument`, `resource_exhausted`, `aborted`; what the source and the store throw
   */
  static async read(
    source: AsyncIterable<Uint8Array>,
    content: ContentStore,
    options: ArchiveOptions,
  ): Promise<ArchiveFiles> {
    const archive = new ArchiveFiles()
    const { stream } = decompress(watched(source, options), { maxBytes: options.maxBytes })
    let entries = 0
    let nameBytes = 0
    let bytesLeft = options.maxBytes
    for await (const entry of readTar(stream)) {
      entries += 1
      nameBytes += entry.path.length + entry.linkPath.length
      if (entries > maxEntries || nameBytes > maxNameBytes) throw tooMany()
      // A sparse file of a few bytes can have any size.
      if (entry.kind === 'file') bytesLeft -= entry.size
      if (bytesLeft < 0) throw tooLarge(options.maxBytes)
      await archive.#add(entry, content, options.signal)
    }
    return archive
  }

  /** The file of that name, or that its links lead to. Undefined if the archive has none. */
  find(name: string): ArchivedFile | undefined {
    let at = cleanName(name)
    for (let links = 0; links <= maxLinks; links++) {
      const target = this.#links.get(at)
      if (target === undefined) return this.#files.get(at)
      at = target
    }
    throw invalidSource(`its links lead from ${JSON.stringify(name.slice(0, 100))} in a circle`)
  }

  /** Digests of all files, also of those that no image needs. */
  get digests(): Set<Digest> {
    return new Set([...this.#files.values()].map(({ digest }) => digest))
  }

  async #add(entry: TarEntry, content: ContentStore, signal: AbortSignal | undefined): Promise<void> {
    const name = cleanName(entry.path)
    // Of one name, the last one counts: for whoever unpacks an archive, and so here.
    this.#files.delete(name)
    this.#links.delete(name)
    if (entry.kind === 'hardlink') this.#links.set(name, cleanName(entry.linkPath))
    else if (entry.kind === 'symlink')
      this.#links.set(name, cleanName(posix.join(posix.dirname(name), entry.linkPath)))
    else if (entry.kind === 'file') this.#files.set(name, await store(name, entry, content, signal))
  }
}

async function store(
  name: string,
  { size, content: source }: TarEntry,
  content: ContentStore,
  signal: AbortSignal | undefined,
): Promise<ArchivedFile> {
  let start = Buffer.alloc(0)
  async function* sniffed(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source instanceof Uint8Array ? [source] : source) {
      if (start.length < 4) start = Buffer.concat([start, chunk.subarray(0, 4)])
      yield chunk
    }
  }
  const digest = digestOfName(name)
  const expected = { bytes: size, maxBytes: size, ...(digest === undefined ? {} : { digest }) }
  const written = await content.write(sniffed(), expected, { signal })
  return { digest: written.digest, bytes: written.bytes, compression: compressionOf(start) }
}

/** In an OCI layout the name says what the content must be. */
function digestOfName(name: string): Digest | undefined {
  const match = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(name)
  return match === null ? undefined : parseDigest(`${match[1]}:${match[2]}`)
}

const cleanName = (path: string): string => entryPath(path, maxPathBytes).join('/')

async function* watched(
  source: AsyncIterable<Uint8Array>,
  { signal, onBytes }: ArchiveOptions,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    checkAborted('reading the archive', signal)
    onBytes?.(chunk.length)
    yield chunk
  }
}

function tooMany(): CofferError {
  return new CofferError('resource_exhausted', 'the archive has too many entries for one of images', {
    hint: `At most ${maxEntries}. If it is a root file system, import it: coffer import-rootfs.`,
  })
}

function tooLarge(maxBytes: number): CofferError {
  return new CofferError('resource_exhausted', `the archive has more than ${maxBytes} bytes`, {
    hint: 'Load its images one by one.',
    details: { maxBytes },
  })
}
