import { TransferRate } from './transfer-rate.ts'

/** How far one of several things is: a layer that comes or goes. */
export type PartProgress = {
  readonly key: string | number
  /** Of 12 characters at most. */
  readonly label: string
  readonly phase: string
  readonly bytes: number
  readonly totalBytes: number
  /** Bytes move now. */
  readonly isActive: boolean
  readonly isDone: boolean
}

export type Part = PartProgress & {
  /** It had something to do here, and was not there already. */
  readonly hasMoved: boolean
  readonly rate: TransferRate
}

/** The parts of one whole, in the order in which they were first heard of. */
export class Parts {
  readonly #parts = new Map<string | number, Part>()

  /** Returns the part as it was before. */
  update(progress: PartProgress, nowMs: number): Part | undefined {
    const before = this.#parts.get(progress.key)
    const isSame = before !== undefined && before.phase === progress.phase && before.isActive
    const rate = isSame ? before.rate : new TransferRate()
    if (progress.isActive) rate.add(progress.bytes, nowMs)
    const hasMoved = before?.hasMoved === true || progress.isActive
    this.#parts.set(progress.key, { ...progress, hasMoved, rate })
    return before
  }

  clear(): void {
    this.#parts.clear()
  }

  get size(): number {
    return this.#parts.size
  }

  list(): readonly Part[] {
    return [...this.#parts.values()]
  }
}
