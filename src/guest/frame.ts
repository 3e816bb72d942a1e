import { frameTypes, headerBytes, maxControlBytes, maxDataBytes } from './protocol.ts'

export type Frame = {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
  /** Header and payload as they stood on the wire, so that a relay can pass them on without a copy. */
  readonly raw: Buffer
}

/** The peer sent what the protocol does not allow; the connection cannot go on. */
export class ProtocolError extends Error {}

export function encodeFrame(type: number, stream: number, payload?: Uint8Array, flags = 0): Buffer {
  const length = payload?.length ?? 0
  const frame = Buffer.allocUnsafe(headerBytes + length)
  writeHeader(frame, { length, stream, type, flags })
  if (payload !== undefined) frame.set(payload, headerBytes)
  return frame
}

/** A credit frame: the reader of `channel` grants `bytes` more. */
export function encodeCredit(stream: number, channel: number, bytes: number): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + 4)
  writeHeader(frame, { length: 4, stream, type: frameTypes.credit, flags: channel })
  frame.writeUInt32LE(bytes, headerBytes)
  return frame
}

/** Gives a frame in wire form another stream id, in place: what passes through a relay need not be copied. */
export function rewriteStream(raw: Buffer, stream: number): Buffer {
  raw.writeUInt32LE(stream, 4)
  return raw
}

/** `rewriteStream`, and other flags. */
export function readdress(raw: Buffer, stream: number, flags: number): Buffer {
  raw.writeUInt8(flags, 9)
  return rewriteStream(raw, stream)
}

/** A frame that waits for its reader keeps the chunk it came in: at most this many times its own size. */
const mostKept = 4

/** Cuts a byte stream into frames, however its chunks fall. A frame that makes up most of its chunk is not copied. */
export class FrameDecoder {
  #pending: Buffer | undefined
  #filled = 0
  readonly #header = Buffer.allocUnsafe(headerBytes)
  #headerFilled = 0;

  /** Throws `ProtocolError` at the first frame that is out of bounds; the decoder is then of no more use. */
  *push(chunk: Buffer): Generator<Frame, void, undefined> {
    let position = 0
    while (position < chunk.length) {
      // 1. A frame begun in an earlier chunk goes on.
      if (this.#pending !== undefined) {
        position += this.#fill(this.#pending, chunk, position)
        if (this.#filled < this.#pending.length) return
        const raw = this.#pending
        this.#pending = undefined
        yield frameOf(raw)
        continue
      }
      // 2. A header in one piece: its frame may be in one piece too.
      if (this.#headerFilled === 0 && chunk.length - position >= headerBytes) {
        const total = headerBytes + checkedLength(chunk, position)
        if (chunk.length - position >= total) {
          const raw = chunk.subarray(position, position + total)
          position += total
          yield frameOf(total * mostKept < chunk.length ? copyOf(raw) : raw)
          continue
        }
        this.#begin(chunk.subarray(position, position + headerBytes), total)
        position += headerBytes
        continue
      }
      // 3. A header in pieces.
      const copied = chunk.copy(this.#header, this.#headerFilled, position)
      position += copied
      this.#headerFilled += copied
      if (this.#headerFilled < headerBytes) return
      this.#headerFilled = 0
      const total = headerBytes + checkedLength(this.#header, 0)
      if (total === headerBytes) yield frameOf(Buffer.from(this.#header))
      else this.#begin(this.#header, total)
    }
  }

  #begin(header: Buffer, total: number): void {
    this.#pending = Buffer.allocUnsafe(total)
    header.copy(this.#pending)
    this.#filled = headerBytes
  }

  #fill(target: Buffer, chunk: Buffer, position: number): number {
    const copied = chunk.copy(target, this.#filled, position)
    this.#filled += copied
    return copied
  }
}

const knownTypes: ReadonlySet<number> = new Set(Object.values(frameTypes))
const dataTypes: ReadonlySet<number> = new Set([frameTypes.stdin, frameTypes.stdout, frameTypes.stderr])

function checkedLength(bytes: Buffer, position: number): number {
  const length = bytes.readUInt32LE(position)
  const type = bytes.readUInt8(position + 8)
  if (!knownTypes.has(type)) throw new ProtocolError(`unknown frame type ${type}`)
  if (bytes.readUInt16LE(position + 10) !== 0) throw new ProtocolError('reserved header bits are set')
  const bound = dataTypes.has(type) ? maxDataBytes : maxControlBytes
  if (length > bound)
    throw new ProtocolError(`a frame of type ${type} with ${length} bytes, ${bound} allowed`)
  return length
}

/** Not from Node's pool, which one small frame would keep as a whole. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}

function frameOf(raw: Buffer): Frame {
  return {
    type: raw.readUInt8(8),
    flags: raw.readUInt8(9),
    stream: raw.readUInt32LE(4),
    payload: raw.subarray(headerBytes),
    raw,
  }
}

type Header = {
  readonly length: number
  readonly stream: number
  readonly type: number
  readonly flags: number
}

function writeHeader(target: Buffer, header: Header): void {
  target.writeUInt32LE(header.length, 0)
  target.writeUInt32LE(header.stream, 4)
  target.writeUInt8(header.type, 8)
  target.writeUInt8(header.flags, 9)
  target.writeUInt16LE(0, 10)
}
