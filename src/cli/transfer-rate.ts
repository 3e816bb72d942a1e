/** Long enough to be calm, short enough to tell that a registry became slow. */
const windowMs = 5000
const leastSpanMs = 500

/** How fast something arrives, by what came in the last seconds. */
export class TransferRate {
  #samples: { readonly atMs: number; readonly bytes: number }[] = []

  /** `bytes`: all that there is by now. Fewer than before begins anew. */
  add(bytes: number, nowMs: number): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && bytes < last.bytes) this.#samples = []
    this.#samples.push({ atMs: nowMs, bytes })
    this.#samples.splice(0, this.#baseIndex(nowMs))
  }

  /** Undefined until there is something to judge by. */
  bytesPerSecond(nowMs: number): number | undefined {
    const base = this.#samples[this.#baseIndex(nowMs)]
    const last = this.#samples.at(-1)
    if (base === undefined || last === undefined) return undefined
    const spanMs = Math.min(nowMs - base.atMs, windowMs)
    return spanMs < leastSpanMs ? undefined : ((last.bytes - base.bytes) * 1000) / spanMs
  }

  /** The last sample before the window: what came since then is what the window has seen. */
  #baseIndex(nowMs: number): number {
    const index = this.#samples.findLastIndex(({ atMs }) => atMs <= nowMs - windowMs)
    return Math.max(0, index)
  }
}
