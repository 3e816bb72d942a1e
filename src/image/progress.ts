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

/** Tells a listener how far the layers of an image are. */
export class LayersProgress {
  readonly #image: string
  readonly #layers: readonly { readonly digest: string; readonly size: number }[]
  readonly #listener: ImageProgressListener | undefined
  readonly #last = new Map<number, { phase: LayerProgress['phase']; bytes: number; atMs: number }>()

  constructor(
    image: string,
    layers: readonly { readonly digest: string; readonly size: number }[],
    listener: ImageProgressListener | undefined,
  ) {
    this.#image = image
    this.#layers = layers
    this.#listener = listener
  }

  tell(index: number, phase: LayerProgress['phase'], bytes: number): void {
    const layer = this.#layers[index]
    if (this.#listener === undefined || layer === undefined) return
    const last = this.#last.get(index)
    const nowMs = performance.now()
    if (last?.phase === phase) {
      if (last.bytes === bytes && phase === 'done') return
      if (bytes !== layer.size && nowMs - last.atMs < intervalMs) return
    }
    this.#last.set(index, { phase, bytes, atMs: nowMs })
    const isFetched = phase === 'merging' || phase === 'done'
    this.#listener({
      step: `${isFetched ? 'preparing' : 'pulling'} image ${this.#image}`,
      layer: {
        image: this.#image,
        layer: layer.digest,
        index,
        layers: this.#layers.length,
        phase,
        bytes,
        totalBytes: layer.size,
      },
    })
  }

  /** A layer that the image has several times is fetched once. */
  tellAll(digest: string, phase: LayerProgress['phase'], bytes: number): void {
    for (const [index, layer] of this.#layers.entries())
      if (layer.digest === digest) this.tell(index, phase, bytes)
  }
}
