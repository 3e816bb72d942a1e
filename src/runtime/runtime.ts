import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import { checkImageName } from '../image/images.ts'
import { createId } from '../state/box-id.ts'
import { type Home, openHome, sweepTemporary } from '../state/home.ts'
import { acquireLock, tryLock } from '../state/lock.ts'
import { identify } from '../state/process-identity.ts'
import { type BoxRow, Store } from '../state/store.ts'
import { Box } from './box.ts'
import { checkName, parseBoxOptions } from './box-config.ts'
import type { BoxContext } from './box-connection.ts'
import { boxInfo } from './box-info.ts'
import { findShim } from './liveness.ts'
import type { BoxInfo, BoxOptions } from './options.ts'
import { boxLockPath, removeBoxFiles } from './remove-box.ts'
import type { ShimProcess } from './shim-process.ts'
import { SpareShim } from './spare-shim.ts'
import { checkKeys } from './validate.ts'

export type RuntimeOptions = {
  /** Default `COFFER_HOME`, else `~/.coffer`. */
  readonly home?: string
}

const shutdownTimeoutMs = 10_000

/** What an application opens: the boxes of one home. Several runtimes, in one or many processes, may use a home at once. */
export class Runtime {
  readonly #home: Home
  readonly #store: Store
  readonly #context: BoxContext
  readonly #shims = new Map<string, ShimProcess>()
  readonly #spare: SpareShim
  #isOpen = true

  private constructor(home: Home, store: Store) {
    this.#home = home
    this.#spare = new SpareShim(home)
    this.#store = store
    this.#context = {
      home,
      store,
      shims: this.#shims,
      spare: this.#spare,
      sessions: new Set(),
      checkOpen: () => this.#checkOpen(),
    }
  }

  /** Throws `permission_denied` or `storage_error` for a home that cannot be used, `database_error` for its records. */
  static async open(options: RuntimeOptions = {}): Promise<Runtime> {
    checkKeys('options', options, ['home'])
    const home = openHome(options.home)
    const runtime = new Runtime(home, new Store(home.database))
    runtime.#sweep()
    return runtime
  }

  get home(): string {
    return this.#home.path
  }

  /** Writes a record and returns at once; the first use starts the box. Throws `already_exists`, `invalid_argument`, `not_found`. */
  async create(options: BoxOptions = {}, name?: string): Promise<Box> {
    this.#checkOpen()
    const id = createId()
    const config = parseBoxOptions(options, { id, name: name === undefined ? undefined : checkName(name) })
    checkImageName(config.image)
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
    this.#store.insertBox(row)
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
    this.#checkOpen()
    const infos = this.#store.listBoxes().map(row => boxInfo(this.#home, this.#store, row))
    return filter.all === false ? infos.filter(info => info.pid !== undefined) : infos
  }

  /** Removes a box and its disk. Throws `invalid_state` when it runs, unless `force`, which ends it first. */
  async remove(idOrName: string, options: { readonly force?: boolean } = {}): Promise<void> {
    const row = this.#row(idOrName)
    using _lock = await acquireLock(boxLockPath(this.#home, row.id))
    if (findShim(join(this.#home.boxes, row.id), row.id) !== undefined) {
      if (!options.force)
        throw new CofferError('invalid_state', `cannot remove box ${idOrName}: it is running`, {
          hint: `Stop it first (coffer stop ${idOrName}), or remove it by force (coffer rm -f ${idOrName}).`,
          details: { id: row.id, status: 'running' },
        })
      await new Box(this.#context, row).stopLocked(0)
    }
    removeBoxFiles(this.#context, row.id)
  }

  /** Stops the attached boxes this runtime started and closes it. Idempotent. Detached boxes run on. */
  async shutdown(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (!this.#isOpen) return
    const timeoutMs = options.timeoutMs ?? shutdownTimeoutMs
    const attached = this.#store.listBoxes().filter(row => this.#shims.has(row.id))
    await Promise.all(attached.map(row => this.#release(row, timeoutMs)))
    this.#isOpen = false
    this.#spare[Symbol.dispose]()
    for (const session of this.#context.sessions) session[Symbol.dispose]()
    for (const shim of this.#shims.values()) shim[Symbol.dispose]()
    this.#store[Symbol.dispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown()
  }

  async #release(row: BoxRow, timeoutMs: number): Promise<void> {
    const box = new Box(this.#context, row)
    const { detach, ephemeral } = await box.info()
    if (detach) return
    await box.stop({ timeoutMs })
    if (ephemeral) await this.remove(row.id)
  }

  #find(idOrName: string): BoxRow | undefined {
    this.#checkOpen()
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

  /** Tidies what crashed processes left: temporary files, directories of boxes whose record is gone, ephemeral boxes that ended. */
  #sweep(): void {
    sweepTemporary(this.#home, pid => identify(pid) !== undefined)
    // In this order: a record is older than its directory, so a box that another process makes meanwhile is not taken for garbage.
    const directories = readdirSync(this.#home.boxes)
    const rows = new Map(this.#store.listBoxes().map(row => [row.id, row]))
    for (const id of directories)
      if (!rows.has(id) && findShim(join(this.#home.boxes, id), id) === undefined)
        rmSync(join(this.#home.boxes, id), { recursive: true, force: true })
    for (const row of rows.values()) if (row.status !== 'configured') this.#sweepEphemeral(row)
  }

  /** An ephemeral box that has run and does not run any more is gone; whoever holds its lock is busy with just that. */
  #sweepEphemeral(row: BoxRow): void {
    const info = boxInfo(this.#home, this.#store, row)
    if (!info.ephemeral || info.pid !== undefined) return
    using lock = tryLock(boxLockPath(this.#home, row.id))
    if (lock !== undefined && findShim(info.directory, row.id) === undefined)
      removeBoxFiles(this.#context, row.id)
  }
}
