import { type Database, type Row, textOf } from './database.ts'

/** An image: a manifest whose blobs are all in the home. */
export type ManifestRow = {
  readonly digest: string
  readonly mediaType: string
  readonly configDigest: string
  /** Of the layers, by the OCI image specification: names the file they are merged into. */
  readonly chainId: string
  /** JSON, written and read by `image/config.ts`. */
  readonly config: string
  readonly addedAtMs: number
  readonly usedAtMs: number
  /** Removed by force while boxes use it: goes with the last of them. */
  readonly isRemoved: boolean
}

export type BlobRow = {
  readonly kind: 'manifest' | 'config' | 'layer'
  readonly digest: string
  readonly bytes: number
  readonly mediaType: string
  readonly diffId: string | undefined
}

export type NameRow = {
  /** Canonical: `docker.io/library/alpine:latest`. */
  readonly reference: string
  readonly manifestDigest: string
  /** What the name means in its registry: the manifest, or the index that led to it. */
  readonly sourceDigest: string
  readonly taggedAtMs: number
}

export type ImageUser = { readonly id: string; readonly name: string | undefined }

/** The images of a home, and which boxes use them. */
export class ImageTable {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  findName(reference: string): NameRow | undefined {
    return this.#names('WHERE reference = ?', reference)[0]
  }

  namesOf(manifestDigest: string): NameRow[] {
    return this.#names('WHERE manifest_digest = ?', manifestDigest)
  }

  find(digest: string): ManifestRow | undefined {
    return this.#manifests('WHERE digest = ?', digest)[0]
  }

  /** Whose digest, or whose configuration's, begins so. */
  findByPrefix(prefix: string): ManifestRow[] {
    return this.#manifests(
      'WHERE substr(digest, 1, length(?1)) = ?1 OR substr(config_digest, 1, length(?1)) = ?1',
      prefix,
    )
  }

  /** Last used first, also those that only boxes keep. */
  list(): ManifestRow[] {
    return this.#manifests('ORDER BY used_at_ms DESC, added_at_ms DESC, digest')
  }

  /** The manifest itself, its configuration, then its layers, lowest first. */
  blobsOf(manifestDigest: string): BlobRow[] {
    return this.#database
      .all('list blobs', 'SELECT * FROM manifest_blob WHERE manifest_digest = ? ORDER BY position', [
        manifestDigest,
      ])
      .map(blobOf)
  }

  /** Digests of all blobs that images are made of. */
  usedBlobs(): Set<string> {
    const rows = this.#database.all('list blobs', 'SELECT DISTINCT digest FROM manifest_blob')
    return new Set(rows.map(row => String(row['digest'])))
  }

  usedChains(): Set<string> {
    return new Set(this.list().map(({ chainId }) => chainId))
  }

  /** Adds an image, or names to one that is there. A name that meant another image means this one from now on. */
  insert(manifest: ManifestRow, blobs: readonly BlobRow[], names: readonly NameRow[]): void {
    this.#database.transaction('add an image', () => {
      this.#database.run(
        'insert an image',
        `INSERT INTO manifest (digest, media_type, config_digest, chain_id, config, added_at_ms, used_at_ms, is_removed)
         VALUES (?, ?, ?, ?, ?, ?, ?, 0)
         ON CONFLICT (digest) DO UPDATE SET used_at_ms = excluded.used_at_ms, is_removed = 0`,
        [
          manifest.digest,
          manifest.mediaType,
          manifest.configDigest,
          manifest.chainId,
          manifest.config,
          manifest.addedAtMs,
          manifest.usedAtMs,
        ],
      )
      for (const [position, blob] of blobs.entries())
        this.#database.run(
          'insert a blob',
          'INSERT OR IGNORE INTO manifest_blob VALUES (?, ?, ?, ?, ?, ?, ?)',
          [
            manifest.digest,
            position,
            blob.kind,
            blob.digest,
            blob.bytes,
            blob.mediaType,
            blob.diffId ?? null,
          ],
        )
      for (const name of names) this.setName(name)
    })
  }

  setName({ reference, manifestDigest, sourceDigest, taggedAtMs }: NameRow): void {
    this.#database.run('name an image', 'INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?)', [
      reference,
      manifestDigest,
      sourceDigest,
      taggedAtMs,
    ])
  }

  deleteName(reference: string): boolean {
    return this.#database.run('remove a name', 'DELETE FROM image WHERE reference = ?', [reference])
  }

  /** With its names. Its blobs are the caller's. */
  delete(digest: string): boolean {
    return this.#database.run('remove an image', 'DELETE FROM manifest WHERE digest = ?', [digest])
  }

  /** Takes its names away; it goes when no box uses it any more. */
  markRemoved(digest: string): void {
    this.#database.transaction('remove an image', () => {
      this.#database.run('remove names', 'DELETE FROM image WHERE manifest_digest = ?', [digest])
      this.#database.run('mark an image', 'UPDATE manifest SET is_removed = 1 WHERE digest = ?', [digest])
    })
  }

  /** Images removed by force that no box uses any more. */
  removable(): ManifestRow[] {
    return this.#manifests(
      'WHERE is_removed = 1 AND NOT EXISTS (SELECT 1 FROM box WHERE box.image_digest = manifest.digest)',
    )
  }

  touch(digest: string, atMs: number): void {
    this.#database.run('note the use of an image', 'UPDATE manifest SET used_at_ms = ? WHERE digest = ?', [
      atMs,
      digest,
    ])
  }

  /**
   * The image a box keeps from its first start on: `digest`, unless another process was first. Undefined when the box, or the image, is gone.
   */
  pinBox(boxId: string, digest: string): string | undefined {
    return this.#database.transaction('record the image of a box', () => {
      this.#database.run(
        'pin',
        `UPDATE box SET image_digest = ?1 WHERE id = ?2 AND image_digest IS NULL
         AND EXISTS (SELECT 1 FROM manifest WHERE digest = ?1)`,
        [digest, boxId],
      )
      return textOf(
        this.#database.all('read the pin', 'SELECT image_digest FROM box WHERE id = ?', [boxId])[0]?.[
          'image_digest'
        ],
      )
    })
  }

  /** The boxes that were started from images, and from which. */
  startedBoxes(): (ImageUser & { readonly digest: string })[] {
    return this.#database
      .all(
        'list boxes',
        'SELECT id, name, image_digest FROM box WHERE image_digest IS NOT NULL ORDER BY created_at_ms',
      )
      .map(row => ({
        id: String(row['id']),
        name: textOf(row['name']),
        digest: String(row['image_digest']),
      }))
  }

  /** The boxes that were started from an image. */
  boxesOf(digest: string): ImageUser[] {
    return this.#database
      .all('list boxes', 'SELECT id, name FROM box WHERE image_digest = ? ORDER BY created_at_ms', [digest])
      .map(row => ({ id: String(row['id']), name: textOf(row['name']) }))
  }

  /** The boxes that were never started, and the image each names. */
  boxesToStart(): (ImageUser & { readonly image: string })[] {
    return this.#database
      .all(
        'list boxes',
        `SELECT id, name, json_extract(config, '$.image') AS image FROM box
         WHERE image_digest IS NULL AND json_valid(config) ORDER BY created_at_ms`,
      )
      .map(row => ({ id: String(row['id']), name: textOf(row['name']), image: textOf(row['image']) ?? '' }))
  }

  /** Does all of `work` or nothing of it; no image is added and no box pinned meanwhile. */
  exclusively<Value>(work: () => Value): Value {
    return this.#database.transaction('change the images', work)
  }

  #names(condition: string, value: string): NameRow[] {
    return this.#database
      .all('find an image', `SELECT * FROM image ${condition} ORDER BY reference`, [value])
      .map(row => ({
        reference: String(row['reference']),
        manifestDigest: String(row['manifest_digest']),
        sourceDigest: String(row['source_digest']),
        taggedAtMs: Number(row['tagged_at_ms']),
      }))
  }

  #manifests(condition: string, ...values: string[]): ManifestRow[] {
    return this.#database.all('find an image', `SELECT * FROM manifest ${condition}`, values).map(manifestOf)
  }
}

function manifestOf(row: Row): ManifestRow {
  return {
    digest: String(row['digest']),
    mediaType: String(row['media_type']),
    configDigest: String(row['config_digest']),
    chainId: String(row['chain_id']),
    config: String(row['config']),
    addedAtMs: Number(row['added_at_ms']),
    usedAtMs: Number(row['used_at_ms']),
    isRemoved: row['is_removed'] === 1,
  }
}

function blobOf(row: Row): BlobRow {
  return {
    kind: String(row['kind']) as BlobRow['kind'],
    digest: String(row['digest']),
    bytes: Number(row['bytes']),
    mediaType: String(row['media_type']),
    diffId: textOf(row['diff_id']),
  }
}
