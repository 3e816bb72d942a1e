import { join } from 'node:path'
import { CofferError, isCofferError } from '../errors.ts'
import type { ImageSettings } from '../image/find.ts'
import { createId } from '../state/box-id.ts'
import { type BoxStatus, isActive } from '../state/box-status.ts'
import { faultPoint } from '../state/fault-point.ts'
import { type Home, openHome } from '../state/home.ts'
import { acquireLock } from '../state/lock.ts'
import { type BoxRow, Store } from '../state/store.ts'
import { Box } from './box.ts'
import { checkName, decodeBoxConfig, parseBoxOptions } from './box-config.ts'
import type { BoxContext } from './box-connection.ts'
import { boxInfo } from './box-info.ts'
import { followEvents } from './events.ts'
import { freeRemovedImages, Images, type ImagesOptions, parseImagesOptions } from './images.ts'
import { findShim } from './liveness.ts'
import type { BoxEvent, BoxInfo, BoxOptions, EventOptions } from './options.ts'
import { type OverdueRestart, recover } from './recovery.ts'
import { boxLockPath, removeBoxFiles } from './remove-box.ts'
import type { ShimProcess } from './shim-process.ts'
import { SpareShim } from './spare-shim.ts'
import { checkInteger, checkKeys } from './validate.ts'

export type RuntimeOptions = {
  /** Default `COFFER_HOME`, else `~/.coffer`. */
  readonly home?: string
  readonly images?: ImagesOptions
}

const shutdownTimeoutMs = 10_000
const longestTimeoutMs = 24 * 3600_000

/** What an application opens: the boxes of one home. Several runtimes, in one or many processes, may use a home at once. */
export class Runtime {
  readonly #home: Home
  readonly #store: Store
  readonly #context: BoxContext
  readonly #shims = new Map<string, ShimProcess>()
  readonly #spare: SpareShim
  #images: Images | undefined
  #isOpen = true
  #recovering: Promise<void> = Promise.resolve()
  #shutdown: Promise<void> | undefined

  private constructor(home: Home, store: Store, settings: ImageSettings) {
    this.#home = home
    this.#spare = new SpareShim(home)
    this.#store = store
    this.#context = {
      home,
      store,
      images: { home, store, settings },
      shims: this.#shims,
      spare: this.#spare,
      sessions: new Set(),
      checkOpen: () => this.#checkOpen(),
    }
  }

  /** Throws `permission_denied` or `storage_error` for a home that cannot be used, `database_error` for its records. */
  static async open(options: RuntimeOptions = {}): Promise<Runtime> {
    checkKeys('options', options, ['home', 'images'])
    const settings = parseImagesOptions(options.images ?? {})
    const home = openHome(options.home)
    const runtime = new Runtime(home, new Store(home.database), settings)
    runtime.#recovering = runtime.#restart(recover(runtime.#context))
    return runtime
  }

  /** The images of the home. */
  get images(): Images {
    this.#images ??= new Images(this.#context)
    return this.#images
  }

  get home(): string {
    return this.#home.path
  }

  /** Writes a record and returns at once; the first use starts the box. Throws `already_exists`, `invalid_argument`, `not_found`. */
  async create(options: BoxOptions = {}, name?: string): Promise<Box> {
    this.#checkOpen()
    const id = createId()
    const config = parseBoxOptions(options, { id, name: name === undefined ? undefined : checkName(name) })
    const row: BoxRow = {
      id,
      name,
      createdAtMs: Date.now(),
      config: JSON.stringify(config),
      status: 'configured',
      startedAtMs: undefined,
      stoppedAtMs: undefined,
      reason: undefined,
    }
    faultPoint('create: before the record')
    this.#store.insertBox(row)
    faultPoint('create: recorded')
    return new Box(this.#context, row)
  }

  /** The box of that name, made if there is none. Options of one that exists are not compared. */
  async getOrCreate(
    options: BoxOptions,
    name: string,
  ): Promise<{ readonly created: boolean; readonly box: Box }> {
    const existing = this.#find(checkName(name))
    if (existing !== undefined) return { created: false, box: new Box(this.#context, existing) }
    try {
      return { created: true, box: await this.create(options, name) }
    } catch (error) {
      const winner = this.#find(name)
      if (winner === undefined) throw error
      return { created: false, box: new Box(this.#context, winner) }
    }
  }

  /** Throws `not_found`. */
  async get(idOrName: string): Promise<Box> {
    return new Box(this.#context, this.#row(idOrName))
  }

  /** Newest first. `all: false` leaves out those that do not run. */
  async list(filter: { readonly all?: boolean } = {}): Promise<BoxInfo[]> {
    const infos = this.#store.listBoxes().map(row => boxInfo(this.#home, this.#store, row))
    return filter.all === false ? infos.filter(info => isActive(info.status)) : infos
  }

  /** Removes a box and its disk. Throws `invalid_state` when it runs or is about to, unless `force`, which ends it first. */
  async remove(idOrName: string, options: { readonly force?: boolean } = {}): Promise<void> {
    this.#checkOpen()
    const { id } = this.#row(idOrName)
    using _lock = await acquireLock(boxLockPath(this.#home, id))
    const row = this.#row(id)
    const { status } = boxInfo(this.#home, this.#store, row)
    if (findShim(join(this.#home.boxes, id), id) !== undefined) {
      if (!options.force) throw runningError(idOrName, id, status)
      await new Box(this.#context, row).stopLocked(0)
    }
    removeBoxFiles(this.#context, id)
    await freeRemovedImages(this.#context.images)
  }

  /** Removes every box that does not run, and returns their ids. Boxes that are started meanwhile stay. */
  async prune(): Promise<string[]> {
    this.#checkOpen()
    const removed: string[] = []
    for (const { id, status } of await this.list()) {
      if (isActive(status)) continue
      try {
        await this.remove(id)
        removed.push(id)
      } catch (error) {
        if (!isCofferError(error, 'invalid_state') && !isCofferError(error, 'not_found')) throw error
      }
    }
    return removed
  }

  /**
   * What happens to the boxes of this home, whichever process makes it happen. The last 10,000 events are kept; `after` resumes behind the
   * cursor of one that was seen, and an event `missed` tells when that is too long ago.
   */
  events(options: EventOptions = {}): AsyncIterable<BoxEvent> {
    checkKeys('options', options, ['after', 'follow', 'box', 'signal'])
    return followEvents(this.#store.events, options)
  }

  /**
   * Stops the attached boxes this runtime started, each within `timeoutMs` (default 10 s, `Infinity` for no bound, 0 by force), and closes
   * it. Idempotent; all callers wait for the same end. Detached boxes run on. Afterwards reads still work; what would change something throws `stopped`.
   */
  shutdown(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = shutdownTimeout(options.timeoutMs)
    this.#shutdown ??= this.#close(timeoutMs)
    return this.#shutdown
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown()
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#isOpen = false
    await this.#recovering
    const attached = this.#store.listBoxes().filter(row => this.#shims.has(row.id))
    await Promise.all(attached.map(row => this.#release(row, timeoutMs)))
    this.#spare[Symbol.dispose]()
    for (const session of this.#context.sessions) session[Symbol.dispose]()
    for (const shim of this.#shims.values()) shim[Symbol.dispose]()
    this.#store[Symbol.dispose]()
  }

  async #release(row: BoxRow, timeoutMs: number): Promise<void> {
    const { detach, ephemeral } = decodeBoxConfig(row.id, row.config)
    if (detach) return
    using _lock = await acquireLock(boxLockPath(this.#home, row.id))
    await new Box(this.#context, row).stopLocked(timeoutMs)
    if (ephemeral) removeBoxFiles(this.#context, row.id)
  }

  /** Starts what its policy wants to run. What does not start has a record and an event that say so. */
  async #restart(overdue: readonly OverdueRestart[]): Promise<void> {
    // A runtime that is shut down at once, as that of a command line is, waits for what it began here.
    const context = { ...this.#context, checkOpen: () => {} }
    await Promise.allSettled(
      overdue.map(async ({ row, restarts: { cause, count } }) => {
        const restarts = { count: count + 1, cause, lastAtMs: Date.now() }
        await new Box(context, row).startByPolicy(restarts)
      }),
    )
  }

  #find(idOrName: string): BoxRow | undefined {
    return this.#store.findBox(idOrName)
  }

  #row(idOrName: string): BoxRow {
    const row = this.#find(idOrName)
    if (row !== undefined) return row
    throw new CofferError('not_found', `there is no box ${idOrName}`, {
      hint: 'coffer ps -a lists all boxes.',
      details: { box: idOrName },
    })
  }

  #checkOpen(): void {
    if (!this.#isOpen)
      throw new CofferError('stopped', 'the runtime was shut down', {
        hint: 'Open another one: Runtime.open().',
      })
  }
}

function runningError(label: string, id: string, status: BoxStatus): CofferError {
  const state = isActive(status) ? status : 'about to be started again'
  return new CofferError('invalid_state', `cannot remove box ${label}: it is ${state}`, {
    hint: `Stop it first (coffer stop ${label}), or remove it by force (coffer rm -f ${label}).`,
    details: { id, status },
  })
}

function shutdownTimeout(timeoutMs: number | undefined): number {
  if (timeoutMs === Number.POSITIVE_INFINITY) return longestTimeoutMs
  return checkInteger('timeoutMs', timeoutMs ?? shutdownTimeoutMs, 0, longestTimeoutMs)
}
