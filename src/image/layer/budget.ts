import { blockBytes, blocksFor } from '../../erofs/format.ts'
import { CofferError } from '../../errors.ts'
import type { LayerLimits } from './limits.ts'

/** What is left of the limits while layers are merged. Every method throws `resource_exhausted` beyond one. */
export class Budget {
  readonly #limits: LayerLimits
  #entries = 0
  #metadataBytes = 0
  #contentBytes = 0
  #streamBytes = 0

  constructor(limits: LayerLimits) {
    this.#limits = limits
  }

  /** Decompressed bytes that layers may still have. */
  get streamBytesLeft(): number {
    return this.#limits.maxBytes - this.#streamBytes
  }

  get maxPathBytes(): number {
    return this.#limits.maxPathBytes
  }

  addStream(bytes: number): void {
    this.#streamBytes += bytes
  }

  /** One entry, or a directory made on the way to one, and what it keeps in memory beside numbers. */
  addEntry(metadataBytes: number): void {
    this.#entries += 1
    this.#metadataBytes += metadataBytes
    if (this.#entries > this.#limits.maxEntries)
      throw exhausted('they have too many entries', `maxEntries: ${this.#limits.maxEntries}`)
    if (this.#metadataBytes > this.#limits.maxMetadataBytes)
      throw exhausted(
        'their names, link targets and attributes are too long',
        `maxMetadataBytes: ${this.#limits.maxMetadataBytes}`,
      )
  }

  /** Before the content is written: a sparse file of a few bytes can have any size. */
  addContent(bytes: number): void {
    this.#contentBytes += blocksFor(bytes) * blockBytes
    if (this.#contentBytes > this.#limits.maxBytes)
      throw exhausted('their files are too large', `maxBytes: ${this.#limits.maxBytes}`)
  }
}

function exhausted(problem: string, limit: string): CofferError {
  return new CofferError('resource_exhausted', `cannot merge layers: ${problem}`, {
    hint: `The limit is ${limit}.`,
    details: { limit },
  })
}
