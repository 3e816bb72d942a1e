/** How far one layer of an image is. Layers that are there already begin with `done`. */
export type LayerProgress = {
  /** The image as it was asked for. */
  readonly image: string
  readonly layer: string
  /** From 0, the lowest; and how many there are. */
  readonly index: number
  readonly layers: number
  /** `waiting` for a turn or for another process; of a layer that another process fetches the bytes are told as well. */
  readonly phase: 'waiting' | 'downloading' | 'merging' | 'done'
  /** Of `totalBytes`, as stored, in the present phase. */
  readonly bytes: number
  readonly totalBytes: number
}

/** What happens, in words; with `layer`, in numbers as well. */
export type ImageProgress = {
  readonly step: string
  readonly detail?: string
  readonly layer?: LayerProgress
}

export type ImageProgressListener = (progress: ImageProgress) => void

/** Events of one layer in one phase come no closer than this: a layer arrives in tens of thousands of pieces. */
const intervalMs = 50

type Phase = LayerProgress['phase']
type Told = { readonly phase: Phase; readonly bytes: number; readonly atMs: number }

/** Tells a listener how far the layers of an image are, until it is disposed. Where a layer stands still, its last state was told. */
export class LayersProgress implements Disposable {
  readonly #image: string
  readonly #layers: readonly { readonly digest: string; readonly size: number }[]
  #listener: ImageProgressListener | undefined
  readonly #last = new Map<number, Told>()
  /** What came too soon after `#last`, until its time has come. */
  readonly #due = new Map<number, NodeJS.Timeout>()
  #failure: { readonly error: unknown } | undefined

  constructor(
    image: string,
    layers: readonly { readonly digest: string; readonly size: number }[],
    listener: ImageProgressListener | undefined,
  ) {
    this.#image = image
    this.#layers = layers
    this.#listener = listener
  }

  tell(index: number, phase: Phase, bytes: number): void {
    const layer = this.#layers[index]
    if (this.#listener === undefined || layer === undefined) return
    if (this.#failure !== undefined) throw this.#failure.error
    clearTimeout(this.#due.get(index))
    const last = this.#last.get(index)
    if (last?.phase === phase) {
      if (last.bytes === bytes && phase === 'done') return
      const waitMs = last.atMs + intervalMs - performance.now()
      if (bytes !== layer.size && waitMs > 0) return this.#tellLater(index, phase, bytes, waitMs)
    }
    this.#tellNow(index, phase, bytes)
  }

  /** A layer that the image has several times is fetched once. */
  tellAll(digest: string, phase: Phase, bytes: number): void {
    for (const [index, layer] of this.#layers.entries())
      if (layer.digest === digest) this.tell(index, phase, bytes)
  }

  [Symbol.dispose](): void {
    this.#listener = undefined
    for (const timer of this.#due.values()) clearTimeout(timer)
  }

  #tellLater(index: number, phase: Phase, bytes: number, waitMs: number): void {
    const timer = setTimeout(() => {
      try {
        this.#tellNow(index, phase, bytes)
      } catch (error) {
        // A listener that throws ends the pull, not the process: with the next that there is to tell.
        this.#failure = { error }
      }
    }, waitMs)
    timer.unref()
    this.#due.set(index, timer)
  }

  #tellNow(index: number, phase: Phase, bytes: number): void {
    this.#last.set(index, { phase, bytes, atMs: performance.now() })
    const isFetched = phase === 'merging' || phase === 'done'
    this.#listener?.({
      step: `${isFetched ? 'preparing' : 'pulling'} image ${this.#image}`,
      layer: {
        image: this.#image,
        layer: this.#layers[index]?.digest ?? '',
        index,
        layers: this.#layers.length,
        phase,
        bytes,
        totalBytes: this.#layers[index]?.size ?? 0,
      },
    })
  }
}
