import type { Buffer } from 'node:buffer'
import { CofferError } from '../../errors.ts'
import { blockDeviceBytes } from '../../vm/machine.ts'

export type Qcow2Header = {
  readonly clusterBits: number
  /** Of the disk. */
  readonly bytes: number
  readonly l1Offset: number
  /** Of the entries that are needed for all of the disk. */
  readonly l1Entries: number
  readonly compression: 'zlib' | 'zstd'
  /** Whether an entry may say that its cluster reads as zeros: not in version 2. */
  readonly hasZeroClusters: boolean
}

/** So much of a file is looked at. */
export const qcow2HeaderBytes = 112

/** Says nothing about what is on a disk: reading goes on with the tables as they are. */
const harmless = 0x1n // dirty: counts of references may be wrong
const features: readonly (readonly [bit: bigint, problem: string])[] = [
  [0x2n, 'it is marked as corrupt'],
  [0x4n, 'its data are in another file'],
  [0x10n, 'it has subclusters'],
]
const compressionFeature = 0x8n

export const isQcow2 = (start: Buffer): boolean => start.subarray(0, 4).toString('latin1') === 'QFI\xfb'

/**
 * The header of a qcow2 file. One that leads to any other file is refused, and so is everything that is not understood: a disk from
 * somewhere else must not make this machine open its own. Source: QEMU, docs/interop/qcow2.rst.
 *
 * @throws `unsupported`, `invalid_argument`
 */
export function parseQcow2Header(start: Buffer): Qcow2Header {
  if (start.length < 72) throw invalidQcow2('it is cut short')
  const version = start.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw unsupported(`it is of version ${version}`)
  if (start.readBigUInt64BE(8) !== 0n || start.readUInt32BE(16) !== 0)
    throw unsupported('it needs another file, its backing file')
  if (start.readUInt32BE(32) !== 0) throw unsupported('it is encrypted')
  const compression = version === 2 ? 'zlib' : compressionOf(start)

  const clusterBits = start.readUInt32BE(20)
  if (clusterBits < 9 || clusterBits > 21) throw invalidQcow2(`clusters of 2^${clusterBits} bytes`)
  const bytes = start.readBigUInt64BE(24)
  if (bytes > BigInt(blockDeviceBytes))
    throw new CofferError('unsupported', `the disk in it has ${bytes} bytes`, {
      hint: `The disks of a box have ${blockDeviceBytes}. Shrink its file system, then the disk.`,
    })
  const bytesPerL1Entry = 2 ** (2 * clusterBits - 3)
  const l1Entries = Math.ceil(Number(bytes) / bytesPerL1Entry)
  if (start.readUInt32BE(36) < l1Entries) throw invalidQcow2('its first table is too short for its size')
  return {
    clusterBits,
    bytes: Number(bytes),
    l1Offset: checkedOffset(start.readBigUInt64BE(40), clusterBits),
    l1Entries,
    compression,
    hasZeroClusters: version === 3,
  }
}

/** An offset that tables give, in whole clusters. @throws `invalid_argument` */
export function checkedOffset(offset: bigint, clusterBits: number): number {
  if (offset % (1n << BigInt(clusterBits)) === 0n && offset < 1n << 52n) return Number(offset)
  throw invalidQcow2(`offset ${offset} is none of a cluster`)
}

function compressionOf(start: Buffer): Qcow2Header['compression'] {
  if (start.length < 104) throw invalidQcow2('it is cut short')
  const incompatible = start.readBigUInt64BE(72)
  for (const [bit, problem] of features) if ((incompatible & bit) !== 0n) throw unsupported(problem)
  if ((incompatible & ~(harmless | compressionFeature)) !== 0n)
    throw unsupported('it has features that are not known here')
  const hasType = start.readUInt32BE(100) > 104 && start.length > 104
  const type = hasType ? start.readUInt8(104) : 0
  if ((type !== 0) !== ((incompatible & compressionFeature) !== 0n))
    throw invalidQcow2('it contradicts itself about its compression')
  if (type > 1) throw unsupported('its compression is not known here')
  return type === 1 ? 'zstd' : 'zlib'
}

export function invalidQcow2(problem: string): CofferError {
  return new CofferError('invalid_argument', `the qcow2 file is not usable: ${problem}`, {
    hint: 'It is damaged or made to do harm. qemu-img check says more.',
  })
}

function unsupported(problem: string): CofferError {
  return new CofferError('unsupported', `the qcow2 file cannot be imported: ${problem}`, {
    hint: 'Where it comes from, make one file of it: qemu-img convert -O qcow2 FILE whole.qcow2',
  })
}
