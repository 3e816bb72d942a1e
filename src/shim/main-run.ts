import { join } from 'node:path'
import type { Exited, Failure } from '../guest/messages.ts'
import { signalTargets } from '../guest/protocol.ts'
import type { ExecutionEntry } from './execution-entry.ts'
import { type MainProcess, shimFiles } from './launch.ts'
import { OutputLog } from './output-log.ts'
import type { Relay } from './relay.ts'

/** The id under which clients attach to a box's main process. */
export const mainId = 'main'

/** The main process of one run of a box, and the log of its output. */
export class MainRun implements Disposable {
  /** Resolves when it has ended, all it wrote is read, or when it could not be run. */
  readonly ended: Promise<void>
  readonly #entry: ExecutionEntry
  readonly #log: OutputLog
  readonly #send: () => void
  #isStarted = false

  constructor(relay: Relay, directory: string, main: MainProcess) {
    this.#log = new OutputLog(join(directory, shimFiles.output))
    const { entry, start } = relay.prepare(mainId, main.request, (type, bytes) =>
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

  /** Resolves when it runs, or is known not to: see `failure`. */
  get begun(): Promise<void> {
    return this.#entry.begun
  }

  /** Idempotent. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#send()
  }

  /** Whether it runs, and so got the signal. */
  signal(number: number): boolean {
    if (!this.#isStarted || this.#entry.isDone) return false
    this.#entry.kill(number, signalTargets.group)
    return true
  }

  [Symbol.dispose](): void {
    this.#log[Symbol.dispose]()
  }
}
