import type { ImageProgress } from '../image/progress.ts'
import { formatBytes } from './bytes.ts'
import { type PartProgress, Parts } from './parts.ts'
import { labelOf, layerPart, type Progress, type ProgressMode } from './progress.ts'
import { printable } from './style.ts'

const delayMs = 1000

/** A line for each step that takes long, and for each part that came to its end: for logs, where nothing is drawn twice. */
export class LineProgress implements Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #isEager: boolean
  readonly #parts = new Parts()
  readonly #told = new Set<string>()
  #label = ''
  #image: string | undefined
  #timer: NodeJS.Timeout | undefined
  /** What the timer is to tell of is how an image comes. */
  #isImageDue = false
  #firstPartAtMs: number | undefined

  constructor(mode: ProgressMode, stream: NodeJS.WriteStream) {
    this.#stream = stream
    this.#isEager = mode === 'all'
  }

  readonly onProgress = (progress: ImageProgress): void => {
    const { layer } = progress
    if (layer?.image !== this.#image) this.#parts.clear()
    this.#image = layer?.image
    // The detail may count: it is what it was when the line is due.
    this.#tellStep(labelOf({ step: progress.step }), layer !== undefined)
    if (layer !== undefined) this.onPart(layerPart(layer))
  }

  readonly onPart = (part: PartProgress): void => {
    const nowMs = performance.now()
    this.#firstPartAtMs ??= nowMs
    const before = this.#parts.update(part, nowMs)
    // What was there already is no news.
    if (!part.isDone || before === undefined || before.isDone || !before.hasMoved) return
    if (!this.#isEager && nowMs - this.#firstPartAtMs < delayMs) return
    this.#print(`${part.label} ${part.phase}, ${formatBytes(part.totalBytes)}`)
  }

  readonly stop = (): void => clearTimeout(this.#timer)

  /** Layers of one image are in several steps at a time, so each step is told once. */
  #tellStep(label: string, isImage: boolean): void {
    if (label === this.#label || this.#told.has(label)) return
    this.#label = label
    if (this.#isEager) return this.#tell(label)
    if (isImage && this.#isImageDue) return
    clearTimeout(this.#timer)
    this.#isImageDue = isImage
    this.#timer = setTimeout(() => this.#tell(label), delayMs)
    this.#timer.unref()
  }

  #tell(label: string): void {
    this.#told.add(label)
    this.#print(`${label} …`)
  }

  #print(text: string): void {
    this.#stream.write(`coffer: ${printable(text)}\n`)
  }
}
