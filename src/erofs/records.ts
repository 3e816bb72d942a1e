import { CofferError } from '../errors.ts'

// Some 100 KiB to a MiB a piece: memory grows by what is needed, and nothing is ever copied into a larger piece.
const pieceBits = 14
const pieceRecords = 2 ** pieceBits

/**
 * Records of one size, which begin as zeros, numbered from 1: 0 is free to mean none. As objects a million of them take several times the
 * memory, and V8 time and again the time to find them all alive.
 */
export class Records {
  readonly #recordBytes: number
  readonly #pieces: DataView[] = []
  #count = 0

  constructor(recordBytes: number) {
    this.#recordBytes = recordBytes
  }

  get count(): number {
    return this.#count
  }

  add(): number {
    if (this.#count % pieceRecords === 0)
      this.#pieces.push(new DataView(new ArrayBuffer(pieceRecords * this.#recordBytes)))
    this.#count += 1
    return this.#count
  }

  /** The memory in which a record lies at `offset`. */
  view(record: number): DataView {
    const piece = this.#pieces[(record - 1) >>> pieceBits]
    if (piece === undefined) throw new CofferError('internal', `there is no record ${record}`)
    return piece
  }

  offset(record: number): number {
    return ((record - 1) % pieceRecords) * this.#recordBytes
  }

  byte(record: number, field: number): number {
    return this.view(record).getUint8(this.offset(record) + field)
  }

  setByte(record: number, field: number, value: number): void {
    this.view(record).setUint8(this.offset(record) + field, value)
  }

  word(record: number, field: number): number {
    return this.view(record).getUint32(this.offset(record) + field)
  }

  setWord(record: number, field: number, value: number): void {
    this.view(record).setUint32(this.offset(record) + field, value)
  }

  /** For what may exceed 32 bits. */
  double(record: number, field: number): number {
    return this.view(record).getFloat64(this.offset(record) + field)
  }

  setDouble(record: number, field: number, value: number): void {
    this.view(record).setFloat64(this.offset(record) + field, value)
  }
}
