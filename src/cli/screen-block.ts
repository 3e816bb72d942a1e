/** Lines at the end of what a terminal shows, drawn again in place. */
export class ScreenBlock {
  readonly #stream: NodeJS.WriteStream
  /** Lengths of the lines that are there, escape sequences left out. */
  #drawn: readonly number[] = []

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  get columns(): number {
    return this.#stream.columns || 80
  }

  get rows(): number {
    return this.#stream.rows || 24
  }

  /** `text` is what `line` shows, without its colours. */
  draw(lines: readonly { readonly line: string; readonly text: string }[]): void {
    // In one piece: a terminal that shows half of it would flicker.
    const content = lines.map(({ line }) => `${line}\u001b[K`).join('\n')
    this.#stream.write(`${this.#toStart()}${content}\u001b[J`)
    this.#drawn = lines.map(({ text }) => text.length)
  }

  erase(): void {
    if (this.#drawn.length === 0) return
    this.#stream.write(`${this.#toStart()}\u001b[J`)
    this.#drawn = []
  }

  /** A terminal that has become narrower has wrapped the lines that are there. */
  #toStart(): string {
    const height = this.#drawn.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / this.columns)), 0)
    return height > 1 ? `\r\u001b[${height - 1}A` : '\r'
  }
}
