import { Buffer } from 'node:buffer'

const machineX86 = 62
const typeInterpreter = 3
const fileTypes = { executable: 2, sharedObject: 3 }

/**
 * Checks that `bytes` is a program for x86-64 that runs in an empty root: ELF, 64-bit, without a PT_INTERP header, which
 * would name a dynamic loader.
 *
 * @throws `Error` with the reason
 */
export function checkStaticElf(bytes: Buffer): void {
  // Magic, class 64-bit, little endian, version 1.
  if (!bytes.subarray(0, 7).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])) || bytes.length < 64) {
    throw new Error('it is not a 64-bit ELF program')
  }
  const type = bytes.readUInt16LE(16)
  if (type !== fileTypes.executable && type !== fileTypes.sharedObject) throw new Error('it is not a program')
  if (bytes.readUInt16LE(18) !== machineX86) throw new Error('it is not for x86-64')
  const table = Number(bytes.readBigUInt64LE(32))
  const entryBytes = bytes.readUInt16LE(54)
  const count = bytes.readUInt16LE(56)
  if (table + entryBytes * count > bytes.length || count === 0) throw new Error('it is cut short')
  for (let index = 0; index < count; index++) {
    if (bytes.readUInt32LE(table + index * entryBytes) === typeInterpreter)
      throw new Error('it is not static')
  }
}
