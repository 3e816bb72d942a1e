const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

export type SignalHandler = (signal: NodeJS.Signals, count: number) => void

/**
 * Takes the signals that would end this process and gives them to whoever is in charge at the moment: first the
 * start of the box, then its command. `count` tells the first from those of someone who has lost patience.
 */
export class SignalRelay {
  first: NodeJS.Signals | undefined
  #count = 0
  #handler: SignalHandler
  readonly #listener = (signal: NodeJS.Signals) => {
    this.first ??= signal
    this.#count++
    this.#handler(signal, this.#count)
  }

  constructor(handler: SignalHandler) {
    this.#handler = handler
    for (const signal of forwarded) process.on(signal, this.#listener)
  }

  handOver(handler: SignalHandler): void {
    this.#handler = handler
  }

  release(): void {
    for (const signal of forwarded) process.off(signal, this.#listener)
  }
}
