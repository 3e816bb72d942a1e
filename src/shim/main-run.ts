import { join } from 'node:path'
import type { Exited, Failure } from '../guest/messages.ts'
import { signalTargets } from '../guest/protocol.ts'
import type { ExecutionEntry } from './execution-entry.ts'
import { type MainProcess, shimFiles } from './launch.ts'
import { OutputLog } from './output-log.ts'
import type { Relay } from './relay.ts'
import { settlesWithin } from './settles-within.ts'

/** The id under which clients attach to a box's main process. */
export const mainId = 'main'

/** The main process of one run of a box, and the log of its output. */
export class MainRun implements Disposable {
  /** Resolves when it has ended, all it wrote is read, or when it could not be run. */
  readonly ended: Promise<void>
  readonly #process: MainProcess
  readonly #entry: ExecutionEntry
  readonly #log: OutputLog
  readonly #send: () => void
  #isStarted = false

  constructor(relay: Relay, directory: string, process: MainProcess) {
    this.#process = process
    this.#log = new OutputLog(join(directory, shimFiles.output))
    const { entry, start } = relay.prepare(mainId, process.request, (type, bytes) =>
      this.#log.write(type, bytes),
    )
    this.#entry = entry
    this.#send = start
    this.ended = entry.done
  }

  get exited(): Exited | undefined {
    return this.#entry.exited
  }

  get failure(): Failure | undefined {
    return this.#entry.failure
  }

  /** Resolves when it runs, or is known not to (see `failure`); at once if it is to wait for its first client. */
  async begin(): Promise<void> {
    if (this.#process.waitForAttach) return
    this.start()
    await this.#entry.begun
  }

  /** Idempotent. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#send()
  }

  /**
   * Has it end by its own signal, if it has one, before all others get SIGTERM.
   *
   * @param gone resolves when there is nothing to wait for any more
   * @returns what is left of the grace
   */
  async end(graceMs: number, gone: Promise<unknown>): Promise<number> {
    const { stopSignal } = this.#process
    if (stopSignal === undefined || !this.#isStarted || this.#entry.isDone) return graceMs
    const begin = performance.now()
    this.#entry.kill(stopSignal, signalTargets.group)
    await settlesWithin(Promise.race([this.ended, gone]), graceMs)
    return Math.max(0, Math.round(graceMs - (performance.now() - begin)))
  }

  [Symbol.dispose](): void {
    this.#log[Symbol.dispose]()
  }
}
