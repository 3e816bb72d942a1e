import type { Buffer } from 'node:buffer'
import { crc32c } from '../../erofs/crc32c.ts'
import { CofferError } from '../../errors.ts'
import { blockDeviceBytes } from '../../vm/machine.ts'

/** A file system that boxes can have as their image, as its superblock describes it. */
export type DiskFileSystem = {
  readonly kind: 'erofs' | 'ext4'
  /** From the beginning of the disk; what lies behind is none of it. */
  readonly bytes: number
}

/** So much of a disk says what is on it. */
export const diskStartBytes = 64 * 1024

/**
 * Reads the superblock at the beginning of a disk.
 *
 * @param start its first `diskStartBytes`, or all of a smaller one
 * @throws `unsupported` for anything but one EROFS or ext4 file system that the guest can mount; `invalid_argument` for one that is damaged
 *   or cut short
 */
export function diskFileSystem(start: Buffer, diskBytes: number): DiskFileSystem {
  const superblock = start.subarray(1024, 4096)
  const found =
    superblock.length < 3072
      ? undefined
      : superblock.readUInt32LE(0) === 0xe0f5_e1e2
        ? erofs(superblock)
        : superblock.readUInt16LE(56) === 0xef53
          ? ext4(superblock)
          : undefined
  if (found === undefined) throw noFileSystem(start)
  if (found.bytes > diskBytes)
    throw damaged(`its file system has ${found.bytes} bytes, and the disk ${diskBytes}`)
  if (found.bytes > blockDeviceBytes)
    throw new CofferError('unsupported', `its file system has ${found.bytes} bytes`, {
      hint: `The disks of a box have ${blockDeviceBytes}.`,
    })
  return found
}

// Source: Linux, fs/erofs/erofs_fs.h.
const erofsFeatures = { compressionConfigs: 0x2, known: 0x7f }
const erofsChecksum = 0x1
const lz4 = 0x1

function erofs(superblock: Buffer): DiskFileSystem {
  const blockBits = superblock.readUInt8(12)
  const features = superblock.readUInt32LE(80)
  if (blockBits !== 12)
    throw unsupported(`its EROFS has blocks of 2^${blockBits} bytes`, 'Make it with mkfs.erofs -b 4096.')
  if ((features & ~erofsFeatures.known) !== 0)
    throw unsupported('its EROFS has features that are not known here', 'Make it with older options.')
  if (superblock.readUInt16LE(86) !== 0)
    throw unsupported('its EROFS is spread over several devices', 'Make it as one file.')
  if ((features & erofsFeatures.compressionConfigs) !== 0 && (superblock.readUInt16LE(84) & ~lz4) !== 0)
    throw unsupported(
      'its EROFS is compressed by another algorithm than LZ4',
      'Make it with mkfs.erofs -zlz4hc.',
    )
  if ((superblock.readUInt32LE(8) & erofsChecksum) !== 0) {
    const summed = Uint8Array.from(superblock)
    summed.fill(0, 4, 8)
    if (crc32c(summed) !== superblock.readUInt32LE(4)) throw damaged('the checksum of its EROFS is wrong')
  }
  return { kind: 'erofs', bytes: superblock.readUInt32LE(36) * 2 ** blockBits }
}

// Source: Linux, Documentation/filesystems/ext4/super.rst.
const ext4Features = { recover: 0x4, journalDevice: 0x8, wide: 0x80 }

function ext4(superblock: Buffer): DiskFileSystem {
  const blockBits = 10 + superblock.readUInt32LE(24)
  const features = superblock.readUInt32LE(96)
  if (blockBits > 12)
    throw unsupported(`its ext4 has blocks of 2^${blockBits} bytes`, 'Make it with mke2fs -b 4096.')
  if ((features & ext4Features.journalDevice) !== 0)
    throw unsupported('it is the journal of an ext4 file system', 'Import the disk with the file system.')
  if ((features & ext4Features.recover) !== 0)
    throw unsupported('its ext4 was not unmounted, and its journal has changes', 'Run e2fsck -f on it first.')
  const high = (features & ext4Features.wide) === 0 ? 0 : superblock.readUInt32LE(336)
  return { kind: 'ext4', bytes: (high * 2 ** 32 + superblock.readUInt32LE(4)) * 2 ** blockBits }
}

function noFileSystem(start: Buffer): CofferError {
  if (hasPartitions(start))
    return unsupported(
      'it has a partition table',
      'Import the partition with the root file system alone: sfdisk -d shows where it is, dd with skip and count copies it out.',
    )
  const [, name] =
    foreign.find(([magic]) => start.subarray(0, magic.length).toString('latin1') === magic) ?? []
  if (name !== undefined)
    return unsupported(`it is a ${name}`, 'Convert it first: qemu-img convert -O raw FILE disk.img')
  return unsupported(
    'there is neither EROFS nor ext4 on it',
    'A disk holds one file system, without a partition table. A directory or tar is imported with coffer import-rootfs.',
  )
}

const foreign = [
  ['KDMV', 'VMDK disk'],
  ['# Disk DescriptorFile', 'VMDK disk'],
  ['vhdxfile', 'VHDX disk'],
  ['conectix', 'VHD disk'],
  ['<<< ', 'VirtualBox disk'],
] as const

function hasPartitions(start: Buffer): boolean {
  if (start.subarray(512, 520).toString('latin1') === 'EFI PART') return true
  if (start.length < 512 || start.readUInt16LE(510) !== 0xaa55) return false
  return [0, 1, 2, 3].some(index => start[446 + index * 16 + 4] !== 0)
}

function unsupported(problem: string, hint: string): CofferError {
  return new CofferError('unsupported', problem, { hint })
}

function damaged(problem: string): CofferError {
  return new CofferError('invalid_argument', problem, { hint: 'The disk is damaged or cut short.' })
}
