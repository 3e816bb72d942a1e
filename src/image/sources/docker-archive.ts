import { Buffer } from 'node:buffer'
import { formatReference, parseReference } from '../reference.ts'
import { mediaTypes } from '../registry/media-types.ts'
import { layerMediaType } from '../save/write-layer.ts'
import type { ArchivedFile, ArchiveFiles } from './archive-files.ts'
import type { FoundImage } from './found-image.ts'
import { invalidSource } from './source-error.ts'

const maxImages = 1000
const maxLayers = 4096
const maxNames = 1000

/**
 * The images of `docker save`, by its manifest.json. Such an archive has no OCI manifest: one is made, so its digest is no registry's.
 * Source: moby, image/tarexport, and the Docker Image Specification v1.2.
 *
 * @throws `invalid_argument`
 */
export function imagesOfDockerArchive(manifest: Buffer, files: ArchiveFiles): FoundImage[] {
  const list = parse(manifest)
  if (!Array.isArray(list) || list.length > maxImages)
    throw invalidSource('manifest.json is no list of images')
  return list.map((item: unknown) => imageOf(item, files))
}

function imageOf(item: unknown, files: ArchiveFiles): FoundImage {
  if (typeof item !== 'object' || item === null)
    throw invalidSource('manifest.json has an image that is no object')
  const { Config: config, Layers: layers, RepoTags: names } = item as Record<string, unknown>
  if (typeof config !== 'string') throw invalidSource('manifest.json has an image without a Config')
  const configFile = require(config, files)
  const layerFiles = texts(layers, 'Layers', maxLayers).map(name => require(name, files))
  const content = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: configFile.digest, size: configFile.bytes },
    layers: layerFiles.map(({ digest, bytes, compression }) => ({
      mediaType: layerMediaType(compression),
      digest,
      size: bytes,
    })),
  }
  return {
    manifest: Buffer.from(JSON.stringify(content)),
    mediaType: mediaTypes.ociManifest,
    names: texts(names, 'RepoTags', maxNames).map(name => formatReference(parseReference(name))),
  }
}

function require(name: string, files: ArchiveFiles): ArchivedFile {
  const file = files.find(Buffer.from(name).toString('latin1'))
  if (file !== undefined) return file
  throw invalidSource(`manifest.json names ${JSON.stringify(name.slice(0, 200))}, which is not there`)
}

// Absent and null are what Docker writes for none.
function texts(value: unknown, field: string, most: number): string[] {
  const list = value ?? []
  if (!Array.isArray(list) || list.length > most || list.some(text => typeof text !== 'string'))
    throw invalidSource(`manifest.json has an image whose ${field} are no list of names`)
  return list
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw invalidSource('manifest.json is no JSON')
  }
}
