import { Buffer } from 'node:buffer'

export type TarItem = {
  /** Text, or latin1 bytes. */
  readonly path: string | Buffer
  /** Default `0`, a file. */
  readonly flag?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Seconds. */
  readonly mtime?: number
  readonly content?: Buffer | string
  /** What the header says, in place of the content's length. */
  readonly size?: number | Buffer
  readonly linkPath?: string | Buffer
  readonly major?: number
  readonly minor?: number
  /** Makes an extended header before the entry. */
  readonly pax?: Readonly<Record<string, string | Buffer>>
  readonly prefix?: string
  /** The dialect's magic number. Default ustar. */
  readonly magic?: 'v7' | 'ustar' | 'gnu'
  /** The last hand on the header, before its checksum. */
  readonly patch?: (header: Buffer) => void
}

/** An archive with its two blocks of zeros. */
export const tarArchive = (items: readonly TarItem[]): Buffer =>
  Buffer.concat([...items.map(tarItem), Buffer.alloc(1024)])

/** Header, content and padding, and before them what extends the header. */
export function tarItem(item: TarItem): Buffer {
  const content = Buffer.from(item.content ?? '')
  const parts = [tarHeader(item, content.length), padded(content)]
  if (item.pax !== undefined) {
    const records = Buffer.concat(
      Object.entries(item.pax).map(([keyword, value]) => paxRecord(keyword, value)),
    )
    parts.unshift(tarItem({ path: 'PaxHeaders/0', flag: 'x', content: records }))
  }
  return Buffer.concat(parts)
}

/** One record; its length counts its own digits. */
export function paxRecord(keyword: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${keyword}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length
  while (rest.length + `${length}`.length !== length) length = rest.length + `${length}`.length
  return Buffer.concat([Buffer.from(`${length}`), rest])
}

export function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}

function tarHeader(item: TarItem, contentBytes: number): Buffer {
  const header = Buffer.alloc(512)
  Buffer.from(item.path).copy(header, 0, 0, 100)
  octal(header, 100, 8, item.mode ?? 0o644)
  octal(header, 108, 8, item.uid ?? 0)
  octal(header, 116, 8, item.gid ?? 0)
  if (typeof item.size === 'object') item.size.copy(header, 124)
  else octal(header, 124, 12, item.size ?? contentBytes)
  octal(header, 136, 12, item.mtime ?? 1_700_000_000)
  header.write(item.flag ?? '0', 156, 'latin1')
  Buffer.from(item.linkPath ?? '').copy(header, 157, 0, 100)
  const magic = { v7: '', ustar: 'ustar\x0000', gnu: 'ustar  \0' }[item.magic ?? 'ustar']
  header.write(magic, 257, 'latin1')
  if (item.magic !== 'v7') {
    octal(header, 329, 8, item.major ?? 0)
    octal(header, 337, 8, item.minor ?? 0)
  }
  if (item.prefix !== undefined) header.write(item.prefix, 345, 'latin1')
  item.patch?.(header)
  return withChecksum(header)
}

/** Beyond octal digits, GNU's binary form. */
function octal(header: Buffer, at: number, length: number, value: number): void {
  const digits = value.toString(8)
  if (value >= 0 && digits.length < length) {
    header.write(`${digits.padStart(length - 1, '0')}\0`, at, 'latin1')
    return
  }
  let rest = BigInt(value)
  for (let index = length - 1; index >= 0; index--, rest >>= 8n) header[at + index] = Number(rest & 0xffn)
  header[at] = (header[at] ?? 0) | 0x80
}

export function withChecksum(header: Buffer): Buffer {
  header.fill(' ', 148, 156)
  let sum = 0
  for (const byte of header) sum += byte
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

/** As chunks of `size`, as a network would cut it. */
export async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
