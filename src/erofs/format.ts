/**
 * Numbers of the EROFS on-disk format, little endian throughout. Source: Linux, fs/erofs/erofs_fs.h. Only what has been
 * understood since Linux 5.4 is used (flat inodes, inline tails, inline xattrs), so no incompatible feature bit is set.
 */

export const blockBytes = 4096
export const blockBits = 12

/** Inodes are addressed by slot: `nid = (offset of the inode - offset of the metadata area) / slotBytes`. */
export const slotBytes = 32

/** `struct erofs_inode_extended`. The 32-byte form has neither a time of its own nor 32-bit owners. */
export const inodeBytes = 64

/** `struct erofs_dirent`; the name lies elsewhere in the same block. */
export const direntBytes = 12

export const maxNameBytes = 255

/** PATH_MAX less the terminating NUL: the longest target symlink(2) takes. */
export const maxSymlinkBytes = 4095

/** Block addresses are 32 bits wide and the highest one means "no block". */
export const noBlock = 0xffff_ffff

/** Inline data lies in one block with its inode: what remains of a block behind an inode without xattrs. */
export const maxInlineBytes = blockBytes - inodeBytes

/** How an inode finds its data: bits 1–3 of `i_format`. */
export const layouts = {
  /** All data in consecutive blocks. */
  plain: 0,
  /** Whole blocks as in `plain`, the rest right behind the inode and its xattrs. */
  inline: 2,
} as const

export const blocksFor = (bytes: number): number => Math.ceil(bytes / blockBytes)

/** `value` rounded up to a multiple of `unit`. */
export const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit
