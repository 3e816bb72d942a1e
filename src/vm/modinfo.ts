import { Buffer } from 'node:buffer'
import { CofferError } from '../errors.ts'

export type Modinfo = {
  /** Modules that must be loaded before. */
  readonly depends: readonly string[]
  /** `softdep=pre:`: modules or aliases that should be loaded before where they exist. */
  readonly softBefore: readonly string[]
}

const sectionName = '.modinfo'

/**
 * What a kernel module says of itself, from the `.modinfo` section of its 64-bit little-endian ELF object: strings
 * `key=value`, each ended by a NUL.
 *
 * @param path for messages
 * @throws `config_error` if the object is damaged
 */
export function readModinfo(object: Uint8Array, path: string): Modinfo {
  const lines = findSection(object, path).toString('latin1').split('\0')
  const values = (key: string): string[] =>
    lines.filter(line => line.startsWith(`${key}=`)).map(line => line.slice(key.length + 1))
  return {
    depends: values('depends').flatMap(list => list.split(',').filter(name => name !== '')),
    softBefore: values('softdep').flatMap(readSoftBefore),
  }
}

// "pre: a b post: c", in any order.
function readSoftBefore(value: string): string[] {
  const words = value.split(/\s+/)
  let before = false
  return words.filter(word => {
    if (word.endsWith(':')) {
      before = word === 'pre:'
      return false
    }
    return before && word !== ''
  })
}

function findSection(object: Uint8Array, path: string): Buffer {
  const bytes = Buffer.from(object.buffer, object.byteOffset, object.byteLength)
  try {
    // Class 2 is 64-bit, data 1 is little endian.
    if (bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1)
      throw new RangeError('not a 64-bit ELF object')
    const table = Number(bytes.readBigUInt64LE(0x28))
    const entryBytes = bytes.readUInt16LE(0x3a)
    const count = bytes.readUInt16LE(0x3c)
    const names = readSection(bytes, table + entryBytes * bytes.readUInt16LE(0x3e))
    for (let index = 0; index < count; index++) {
      const header = table + entryBytes * index
      const nameAt = bytes.readUInt32LE(header)
      const wanted = Buffer.from(`${sectionName}\0`)
      if (names.subarray(nameAt, nameAt + wanted.length).equals(wanted)) return readSection(bytes, header)
    }
    throw new RangeError(`no ${sectionName} section`)
  } catch (cause) {
    throw new CofferError(
      'config_error',
      `cannot read kernel module ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        hint: 'The file is damaged; run `coffer setup` to fetch the kernel again.',
        cause,
      },
    )
  }
}

function readSection(bytes: Buffer, header: number): Buffer {
  const start = Number(bytes.readBigUInt64LE(header + 0x18))
  const length = Number(bytes.readBigUInt64LE(header + 0x20))
  if (start + length > bytes.length) throw new RangeError('a section lies beyond the end')
  return bytes.subarray(start, start + length)
}
