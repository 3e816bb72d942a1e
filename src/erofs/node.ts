import type { Attributes } from './attributes.ts'

/** Where the bytes of a file lie in the image. Made by a writer's `addFile`, and of use with that writer only. */
export type Content = {
  /** Bytes. */
  readonly size: number
  /** Block address of the first block, if `blocks` > 0. */
  readonly firstBlock: number
  readonly blocks: number
  /** Position of the last `size % 4096` bytes in the tail store, if they are not in a block. */
  readonly tail: number | undefined
}

export const emptyContent: Content = { size: 0, firstBlock: 0, blocks: 0, tail: undefined }

/** By the numbers that directories have for them: FT_* of include/linux/fs_types.h. */
export const nodeKinds = [
  undefined,
  'file',
  'directory',
  'character_device',
  'block_device',
  'fifo',
  'socket',
  'symlink',
] as const

export type NodeKind = Exclude<(typeof nodeKinds)[number], undefined>

/** What can be put at a path, as told to a tree, which keeps it in a form of its own. Directories are made by `makeDirectory`. */
export type LeafNode = Attributes &
  (
    | { readonly kind: 'file'; readonly content: Content }
    | { readonly kind: 'symlink'; readonly target: Uint8Array }
    | {
        readonly kind: 'character_device' | 'block_device'
        readonly major: number
        readonly minor: number
      }
    | { readonly kind: 'fifo' | 'socket' }
  )
