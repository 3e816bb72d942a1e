import type { Home } from '../state/home.ts'
import { ShimProcess } from './shim-process.ts'

// Long enough that the start that was just made, and its first command, have the processor for themselves.
const quietMs = 250

/**
 * One shim started ahead of need: Node's own start is a tenth of the way to a box's first output. Only for a runtime that starts a
 * second box; a program that runs one command must not pay for it.
 */
export class SpareShim implements Disposable {
  readonly #home: Home
  #starts = 0
  #spare: ShimProcess | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(home: Home) {
    this.#home = home
  }

  /** The spare if there is one, else a new shim. */
  async take(): Promise<ShimProcess> {
    const spare = this.#spare
    this.#spare = undefined
    this.#starts += 1
    clearTimeout(this.#timer)
    if (this.#starts > 1) this.#timer = setTimeout(() => void this.#refill(), quietMs).unref()
    return spare?.isAlive ? spare : ShimProcess.spawn(this.#home)
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#spare?.[Symbol.dispose]()
    this.#spare = undefined
  }

  async #refill(): Promise<void> {
    if (this.#spare !== undefined || this.#isClosed) return
    try {
      const spare = await ShimProcess.spawn(this.#home)
      spare.unref()
      if (this.#isClosed) spare[Symbol.dispose]()
      else this.#spare = spare
    } catch {
      // Whatever is wrong, the next start meets it too and has somebody to tell.
    }
  }
}
