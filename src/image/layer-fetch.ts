import { CofferError } from '../errors.ts'
import type { Digest } from './digest.ts'
import { type FetchSource, fetchBlob } from './fetch-blob.ts'
import type { LayersProgress } from './progress.ts'
import type { Descriptor } from './registry/manifest.ts'

/** Fetches layers, the lowest first and several at a time; each can be read as soon as it is there. */
export class LayerFetch {
  readonly #source: FetchSource
  readonly #layers: readonly Descriptor[]
  readonly #parallel: number
  readonly #stop: AbortController
  readonly #signal: AbortSignal
  readonly #progress: LayersProgress
  readonly #arrivals: ReadonlyMap<Digest, PromiseWithResolvers<void>>

  constructor(options: {
    source: FetchSource
    layers: readonly Descriptor[]
    parallel: number
    /** Aborted with the first failure, which ends everything else. */
    stop: AbortController
    signal: AbortSignal
    progress: LayersProgress
  }) {
    this.#source = options.source
    this.#layers = options.layers
    this.#parallel = options.parallel
    this.#stop = options.stop
    this.#signal = options.signal
    this.#progress = options.progress
    this.#arrivals = new Map(this.#layers.map(({ digest }) => [digest, Promise.withResolvers<void>()]))
    // A layer that is never opened may fail as well.
    for (const { promise } of this.#arrivals.values()) promise.catch(() => {})
    // Those whose turn never comes do not arrive either.
    const giveUp = (): void => {
      for (const arrival of this.#arrivals.values()) arrival.reject(this.#signal.reason)
    }
    if (this.#signal.aborted) giveUp()
    else this.#signal.addEventListener('abort', giveUp, { once: true })
  }

  /** Resolves when all are there. */
  async run(): Promise<void> {
    const queue = this.#layers.values()
    for (const { digest } of this.#layers) this.#progress.tellAll(digest, 'waiting', 0)
    const workers = Array.from({ length: this.#parallel }, async () => {
      for (const layer of queue) await this.#fetch(layer)
    })
    const outcomes = await Promise.allSettled(workers)
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** The bytes of a layer, from when it is there. */
  async *open(digest: Digest): AsyncGenerator<Uint8Array> {
    await this.#arrivals.get(digest)?.promise
    yield* this.#source.content.open(digest)
  }

  async #fetch(layer: Descriptor): Promise<void> {
    const { digest, size } = layer
    try {
      this.#signal.throwIfAborted()
      await fetchBlob(this.#source, layer, {
        signal: this.#signal,
        onWait: bytes => this.#progress.tellAll(digest, 'waiting', bytes),
        onBytes: bytes => this.#progress.tellAll(digest, 'downloading', bytes),
      })
      this.#progress.tellAll(digest, 'waiting', size)
      this.#arrivals.get(digest)?.resolve()
    } catch (error) {
      this.#stop.abort(error)
      throw error
    }
  }
}

/** A layer that comes several times is fetched once. Throws `image_pull_failed` if it has several sizes. */
export function uniqueLayers(layers: readonly Descriptor[]): Descriptor[] {
  const unique = new Map<Digest, Descriptor>()
  for (const layer of layers) {
    const known = unique.get(layer.digest)
    if (known !== undefined && known.size !== layer.size)
      throw new CofferError('image_pull_failed', `the manifest gives ${layer.digest} two sizes`)
    unique.set(layer.digest, layer)
  }
  return [...unique.values()]
}
