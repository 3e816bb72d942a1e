/** Calls `onIdle` once when nothing was going on for `timeoutMs`. */
export class IdleTimer implements Disposable {
  readonly #timeoutMs: number
  readonly #isBusy: () => boolean
  readonly #onIdle: () => void
  #lastAt = performance.now()
  #timer: NodeJS.Timeout | undefined

  constructor(timeoutMs: number, isBusy: () => boolean, onIdle: () => void) {
    this.#timeoutMs = timeoutMs
    this.#isBusy = isBusy
    this.#onIdle = onIdle
    this.#wait(timeoutMs)
  }

  /** Something happened. Called for each frame: it only notes the time. */
  touch(): void {
    this.#lastAt = performance.now()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }

  #wait(delayMs: number): void {
    this.#timer = setTimeout(() => this.#look(), delayMs)
  }

  #look(): void {
    if (this.#isBusy()) this.touch()
    const leftMs = this.#lastAt + this.#timeoutMs - performance.now()
    if (leftMs > 0) this.#wait(Math.ceil(leftMs))
    else this.#onIdle()
  }
}
