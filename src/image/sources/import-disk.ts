import { Buffer } from 'node:buffer'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { CofferError, systemErrorCode } from '../../errors.ts'
import type { ManifestRow } from '../../state/images.ts'
import { mediaTypes } from '../registry/media-types.ts'
import { writeLayer } from '../save/write-layer.ts'
import type { ImageStore } from '../store.ts'
import { bringIn } from './bring-in.ts'
import { diskFileSystem, diskStartBytes } from './disk-file-system.ts'
import { diskArtifactType, diskMediaType } from './disk-media-types.ts'
import type { ImportOptions } from './import-rootfs.ts'
import { newConfig, ociManifest } from './new-config.ts'
import { newNames } from './new-name.ts'
import { isQcow2 } from './qcow2-header.ts'
import { Qcow2Reader } from './qcow2-reader.ts'
import { readAt } from './read-at.ts'
import { inSource } from './source-error.ts'

export type ImportDiskOptions = Pick<ImportOptions, 'config' | 'message' | 'createdAt' | 'signal' | 'onBytes'>

/**
 * Makes an image of a disk: a file with an EROFS or ext4 file system and nothing else, raw or in qcow2. Boxes mount it as it is, read-only.
 *
 * @param name the image's; undefined for one that only its digest names
 * @throws `not_found`; `unsupported` for another file system, a partition table, a qcow2 file that needs another file;
 *   `invalid_argument` for one that is damaged; `aborted`, `storage_error`
 */
export async function importDisk(
  path: string,
  name: string | undefined,
  store: ImageStore,
  options: ImportDiskOptions = {},
): Promise<ManifestRow> {
  const names = newNames(name)
  try {
    return await bringIn(store, options.signal, async content => {
      await using file = await openFile(path)
      const disk = await openDisk(file)
      const { kind, bytes } = diskFileSystem(await disk.start(), disk.bytes)
      const { descriptor, diffId } = await writeLayer(content, limited(disk.content(), bytes), {
        compression: 'zstd',
        maxBytes: bytes,
        signal: options.signal,
        onBytes: options.onBytes,
      })
      const config = newConfig({
        diffIds: [diffId],
        createdAt: options.createdAt ?? new Date(),
        comment: options.message ?? 'imported by coffer',
        changes: options.config ?? {},
      })
      const layer = { ...descriptor, mediaType: diskMediaType(kind) }
      const manifest = ociManifest(await content.writeBytes(config), [layer], {
        artifactType: diskArtifactType,
      })
      return await store.add({
        manifest,
        mediaType: mediaTypes.ociManifest,
        names,
      })
    })
  } catch (error) {
    throw inSource(`import ${path}`, error)
  }
}

type Disk = {
  readonly bytes: number
  content(): AsyncGenerator<Uint8Array, void, void>
  /** What says which file system it is. */
  start(): Promise<Buffer>
}

async function openDisk(file: FileHandle): Promise<Disk> {
  const { size } = await file.stat()
  const magic = await readAt(file, 0, Math.min(4, size))
  const disk = isQcow2(magic)
    ? await Qcow2Reader.open(file, size)
    : { bytes: size, content: () => raw(file, size) }
  const start = async (): Promise<Buffer> => {
    const pieces: Uint8Array[] = []
    for await (const piece of limited(disk.content(), Math.min(diskStartBytes, disk.bytes)))
      pieces.push(piece)
    return Buffer.concat(pieces)
  }
  return { bytes: disk.bytes, content: () => disk.content(), start }
}

const pieceBytes = 1024 * 1024

async function* raw(file: FileHandle, bytes: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes; at += pieceBytes)
    yield await readAt(file, at, Math.min(pieceBytes, bytes - at))
}

async function* limited(
  source: AsyncGenerator<Uint8Array, void, void>,
  bytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let left = bytes
  for await (const piece of source) {
    if (left <= 0) return
    yield piece.subarray(0, left)
    left -= piece.length
  }
}

async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle
  try {
    // Without waiting: a pipe would never answer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    const code = systemErrorCode(error)
    throw new CofferError(
      code === 'ENOENT' ? 'not_found' : 'storage_error',
      `it cannot be read (${code ?? error})`,
      {
        cause: error,
        details: { path },
      },
    )
  }
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw new CofferError('invalid_argument', 'it is no regular file', {
    hint: 'Copy a device into a file first, with dd or qemu-img convert.',
  })
}
