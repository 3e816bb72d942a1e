import { blockDeviceBytes } from '../../vm/machine.ts'

/** What an image may cost. Beyond each of these, merging ends with `resource_exhausted`. */
export type LayerLimits = {
  /** Decompressed bytes of all layers together, and bytes of all contents with holes filled, each. Default 63 GiB. */
  readonly maxBytes: number
  /** Entries of all layers together: an entry takes memory until the image is finished. Default 1,000,000, at some 190 bytes each. */
  readonly maxEntries: number
  /** Names, targets of symbolic links and extended attributes in memory, all together. Default 128 MiB. */
  readonly maxMetadataBytes: number
  /** Bytes of one entry's path. Default 4096, as Linux. */
  readonly maxPathBytes: number
}

// An image is a block device of the box: what is left is for the directories and inodes.
const reserveBytes = 1024 ** 3

export const defaultLayerLimits: LayerLimits = {
  maxBytes: blockDeviceBytes - reserveBytes,
  maxEntries: 1_000_000,
  maxMetadataBytes: 128 * 1024 ** 2,
  maxPathBytes: 4096,
}
