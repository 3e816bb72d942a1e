import { type EntryOptions, ExecutionEntry } from './execution-entry.ts'

/** How long the end of a detached execution can be asked for. */
const keepMs = 5 * 60_000
/** Of those, how many: each holds up to a window of output. */
const maxKept = 64

/** The executions of a box: those the agent has streams for, and those that ended and may still be asked about. */
export class Executions {
  readonly #byId = new Map<string, ExecutionEntry>()
  readonly #byAgentStream = new Map<number, ExecutionEntry>()
  readonly #kept: ExecutionEntry[] = []
  #nextStream = 0

  /** How many the agent has. */
  get size(): number {
    return this.#byAgentStream.size
  }

  get all(): ExecutionEntry[] {
    return [...this.#byId.values()]
  }

  open(options: Omit<EntryOptions, 'agentStream'>): ExecutionEntry {
    const entry = new ExecutionEntry({ ...options, agentStream: this.#freeStream() })
    this.#byId.set(entry.id, entry)
    this.#byAgentStream.set(entry.agentStream, entry)
    return entry
  }

  get(id: string): ExecutionEntry | undefined {
    return this.#byId.get(id)
  }

  ofAgent(stream: number): ExecutionEntry | undefined {
    return this.#byAgentStream.get(stream)
  }

  /** Looks at an entry after something happened to it: its stream falls free, and it is kept for a while or forgotten. */
  settle(entry: ExecutionEntry): void {
    if (!entry.isDone) return
    const isFresh = this.#byAgentStream.delete(entry.agentStream)
    if (entry.isDetached) {
      if (isFresh) this.#keep(entry)
    } else if (entry.client === undefined || entry.isDelivered) this.#byId.delete(entry.id)
  }

  #keep(entry: ExecutionEntry): void {
    this.#kept.push(entry)
    setTimeout(() => this.#drop(entry), keepMs).unref()
    const oldest = this.#kept[0]
    if (this.#kept.length > maxKept && oldest !== undefined) this.#drop(oldest)
  }

  #drop(entry: ExecutionEntry): void {
    const at = this.#kept.indexOf(entry)
    if (at < 0) return
    this.#kept.splice(at, 1)
    this.#byId.delete(entry.id)
  }

  #freeStream(): number {
    const lastStream = 0x7fffffff
    do this.#nextStream = this.#nextStream >= lastStream ? 1 : this.#nextStream + 1
    while (this.#byAgentStream.has(this.#nextStream))
    return this.#nextStream
  }
}
