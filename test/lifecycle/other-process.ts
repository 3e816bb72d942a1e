import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { BoxOptions } from '../../src/index.ts'

/** What another process can be told to do with its runtime. */
export type Order =
  | { readonly do: 'create'; readonly options: BoxOptions; readonly name: string }
  | { readonly do: 'start'; readonly box: string }
  | { readonly do: 'run'; readonly box: string; readonly command: readonly [string, ...string[]] }
  | { readonly do: 'info'; readonly box: string }
  | { readonly do: 'stop'; readonly box: string; readonly timeoutMs?: number }
  | { readonly do: 'remove'; readonly box: string; readonly force: boolean }
  | { readonly do: 'shutdown' }
  | { readonly do: 'exit' }

export type Reply = {
  readonly id: number
  readonly value?: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

/** What an order came to: its value, the code of its error, or `died` when the process ended before it said. */
export type Outcome =
  | { readonly value: unknown; readonly code?: undefined }
  | { readonly code: string; readonly message: string }

const fixture = join(import.meta.dirname, 'other-process.fixture.ts')

/** A process with a runtime of its own on a home. It ends when it is disposed, or with the process of the test. */
export class OtherProcess implements AsyncDisposable {
  readonly ended: Promise<void>
  readonly #child: ChildProcess
  readonly #replies = new Map<number, PromiseWithResolvers<Outcome>>()
  #nextId = 1

  private constructor(child: ChildProcess) {
    this.#child = child
    // After `exit`, and after all that it wrote.
    this.ended = new Promise(resolve => child.once('close', () => resolve()))
    this.#expect(0)
    if (child.stdout !== null)
      createInterface(child.stdout).on('line', line => {
        const { id, value, error }: Reply = JSON.parse(line)
        this.#replies.get(id)?.resolve(error ?? { value })
      })
    child.stdin?.on('error', () => {})
  }

  /** Resolves when its runtime is open. */
  static async open(home: string, environment: Readonly<Record<string, string>> = {}): Promise<OtherProcess> {
    const child = spawn(process.execPath, ['--no-warnings', fixture, home], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    })
    const other = new OtherProcess(child)
    await other.#replies.get(0)?.promise
    return other
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  tell(order: Order): Promise<Outcome> {
    const id = this.#nextId++
    const outcome = this.#expect(id)
    if (this.#child.stdin?.writable) this.#child.stdin.write(`${JSON.stringify({ id, order })}\n`)
    return outcome
  }

  /** As `tell`, for what must succeed. */
  async value(order: Order): Promise<unknown> {
    const outcome = await this.tell(order)
    if (outcome.code !== undefined)
      throw new Error(`${order.do} in another process: ${outcome.code}: ${outcome.message}`)
    return outcome.value
  }

  async run(box: string, ...command: [string, ...string[]]): Promise<string> {
    return String(await this.value({ do: 'run', box, command }))
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** As `kill -9` would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }

  #expect(id: number): Promise<Outcome> {
    const reply = Promise.withResolvers<Outcome>()
    this.#replies.set(id, reply)
    void this.ended.then(() => reply.resolve({ code: 'died', message: 'the process ended' }))
    return reply.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end()
    await this.ended
  }
}
