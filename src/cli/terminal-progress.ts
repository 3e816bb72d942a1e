import type { ImageProgress } from '../image/progress.ts'
import { partLines } from './part-lines.ts'
import { type PartProgress, Parts } from './parts.ts'
import { labelOf, layerPart, type Progress, type ProgressMode } from './progress.ts'
import { ScreenBlock } from './screen-block.ts'
import { paint } from './style.ts'

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const frameMs = 100
// A start from a template ends before this, and is not worth a word.
const delayMs = 400

/** A spinner with the present step, and below it a bar for each part there is; drawn again in place. */
export class TerminalProgress implements Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #block: ScreenBlock
  readonly #parts = new Parts()
  readonly #startedAtMs = performance.now()
  readonly #delayMs: number
  readonly #timer: NodeJS.Timeout
  #label = 'starting'
  #image: string | undefined
  #frame = 0

  constructor(mode: ProgressMode, stream: NodeJS.WriteStream) {
    this.#stream = stream
    this.#block = new ScreenBlock(stream)
    this.#delayMs = mode === 'all' ? 0 : delayMs
    this.#timer = setInterval(() => this.#draw(), frameMs)
    this.#timer.unref()
    stream.on('resize', this.#onResize)
  }

  readonly onProgress = (progress: ImageProgress): void => {
    const { layer } = progress
    if (layer?.image !== this.#image) this.#parts.clear()
    this.#image = layer?.image
    if (layer !== undefined) this.onPart(layerPart(layer))
    // Some layers are merged while others still come: the title says what the slowest is at.
    const isAhead = layer?.phase === 'merging' || layer?.phase === 'done'
    if (!isAhead || !this.#parts.list().some(({ phase }) => phase === 'waiting' || phase === 'downloading'))
      this.#label = labelOf(progress)
  }

  readonly onPart = (part: PartProgress): void => {
    this.#parts.update(part, performance.now())
  }

  readonly stop = (): void => {
    clearInterval(this.#timer)
    this.#stream.off('resize', this.#onResize)
    this.#block.erase()
  }

  readonly #onResize = (): void => this.#draw()

  #draw(): void {
    const nowMs = performance.now()
    const elapsedMs = nowMs - this.#startedAtMs
    if (elapsedMs < this.#delayMs) return
    const { columns, rows } = this.#block
    // Longer than the line, the title would wrap.
    const title = `${this.#label} (${(elapsedMs / 1000).toFixed(1)} s)`.slice(0, Math.max(0, columns - 3))
    const spinner = frames[this.#frame++ % frames.length] ?? ''
    const lines = [
      { line: `${paint('cyan', spinner, this.#stream)} ${title}`, text: `${spinner} ${title}` },
      ...partLines(this.#parts.list(), { columns, rows }, nowMs).map(text => ({ line: text, text })),
    ]
    this.#block.draw(rows > 1 ? lines : lines.slice(0, 1))
  }
}
