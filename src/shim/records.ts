import type { EventDetails, EventType } from '../state/events.ts'
import type { Store, Transition } from '../state/store.ts'
import type { HealthRecord } from './health.ts'
import type { RestartRecord } from './restart-policy.ts'

/** Executions come in bursts, and none of them waits for its event. */
const batchMs = 100

/**
 * What the shim tells the home's database about its box. In the order in which it was told, never in anybody's way: the database is
 * opened when there is something to tell. One that cannot be written costs the record, not the box: how a run ended is in the exit file too.
 */
export class Records {
  readonly #path: string
  readonly #box: { readonly id: string; readonly name: string | undefined }
  #store: Store | undefined
  #queue: ((store: Store) => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #written: Promise<void> = Promise.resolve()

  constructor(path: string, box: { readonly id: string; readonly name: string | undefined }) {
    this.#path = path
    this.#box = box
  }

  event(type: EventType, details: EventDetails = {}): void {
    const event = { atMs: Date.now(), boxId: this.#box.id, boxName: this.#box.name, type, details }
    this.#tell(store => store.events.add(event))
  }

  transition(change: Transition): Promise<void> {
    this.#tell(store => store.transition(this.#box.id, change))
    return this.flush()
  }

  health(health: HealthRecord | undefined): void {
    const json = health === undefined ? undefined : JSON.stringify(health)
    this.#tell(store => store.setHealth(this.#box.id, json))
  }

  restarts(restarts: RestartRecord | undefined): void {
    const json = restarts === undefined ? undefined : JSON.stringify(restarts)
    this.#tell(store => store.setRestart(this.#box.id, json))
  }

  remove(): Promise<void> {
    this.#tell(store => store.deleteBox(this.#box.id))
    return this.flush()
  }

  /** Resolves when everything told so far is written. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#written = this.#written.then(() => this.#write())
    return this.#written
  }

  #tell(change: (store: Store) => void): void {
    this.#queue.push(change)
    this.#timer ??= setTimeout(() => void this.flush(), batchMs)
  }

  /** A database that could not be opened once may be there the next time. */
  async #open(): Promise<Store> {
    if (this.#store === undefined) {
      const { Store } = await import('../state/store.ts')
      this.#store = new Store(this.#path)
    }
    return this.#store
  }

  async #write(): Promise<void> {
    if (this.#queue.length === 0) return
    const changes = this.#queue
    this.#queue = []
    try {
      const store = await this.#open()
      store.transaction(() => {
        for (const change of changes) attempt(() => change(store))
      })
    } catch (error) {
      console.error(error)
    }
  }
}

/** One record that is refused must not take those told with it along. */
function attempt(change: () => void): void {
  try {
    change()
  } catch (error) {
    console.error(error)
  }
}
