import { open, stat } from 'node:fs/promises'
import { systemErrorCode } from '../errors.ts'

const startBytes = 4096

/** Whether a file is the image of a disk, and not a tar: by its content. What cannot be read is for the library to refuse. */
export async function isDiskFile(path: string): Promise<boolean> {
  try {
    // A pipe has one reader, and that is not us.
    if (!(await stat(path)).isFile()) return false
    await using file = await open(path)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(startBytes), 0, startBytes, 0)
    return beginsDisk(buffer.subarray(0, bytesRead))
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error
    return false
  }
}

export function beginsDisk(start: Buffer): boolean {
  if (start.subarray(0, 4).equals(Buffer.from('QFI\u00fb', 'latin1'))) return true
  if (start.length < startBytes || isArchive(start)) return false
  const isErofs = start.readUInt32LE(1024) === 0xe0f5_e1e2
  const isExt4 = start.readUInt16LE(1080) === 0xef53
  const hasPartitions = start.readUInt16LE(510) === 0xaa55
  return isErofs || isExt4 || hasPartitions
}

/** A tar may have anything after its first header. */
function isArchive(start: Buffer): boolean {
  const isTar = start.toString('latin1', 257, 262) === 'ustar'
  const isGzip = start.readUInt16BE(0) === 0x1f8b
  const isZstd = start.readUInt32LE(0) === 0xfd2f_b528
  return isTar || isGzip || isZstd
}
