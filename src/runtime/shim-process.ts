import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import type { Launch } from '../shim/launch.ts'
import type { ShimReport } from '../shim/report.ts'
import { faultEnvironment } from '../state/fault-point.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { identify, type ProcessIdentity } from '../state/process-identity.ts'

const endPatienceMs = 5_000

/** The starter's hold on a shim. While it is not released, its hang-up, however it happens, ends an attached box. */
export class ShimProcess implements Disposable {
  /** Resolves at the first line of the shim; its clients can connect then. Rejects when it ends without. */
  readonly listening: Promise<void>
  /** Resolves when the box is ready. Rejects when the shim ends without. */
  readonly ready: Promise<Extract<ShimReport, { state: 'ready' }>['timings']>
  readonly #child: ChildProcess
  readonly #socket: Socket
  readonly #exited: Promise<void>

  private constructor(child: ChildProcess) {
    this.#child = child
    const socket = child.stdio[3] as unknown as Socket
    this.#socket = socket
    this.#exited = new Promise(resolve => child.once('exit', () => resolve()))
    const listening = Promise.withResolvers<void>()
    const ready = Promise.withResolvers<Extract<ShimReport, { state: 'ready' }>['timings']>()
    this.listening = listening.promise
    this.ready = ready.promise
    listening.promise.catch(() => {})
    ready.promise.catch(() => {})
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const report: ShimReport = JSON.parse(text.slice(0, end))
        text = text.slice(end + 1)
        if (report.state === 'listening') listening.resolve()
        else ready.resolve(report.timings)
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      listening.reject(new Error('the shim ended'))
      ready.reject(new Error('the shim ended'))
    })
  }

  /** Starts a shim that has no box yet. Throws `engine_unavailable` when no process can be made. */
  static async spawn(home: Home): Promise<ShimProcess> {
    const cache = join(home.path, 'cache')
    mkdirSync(cache, { recursive: true, mode: 0o700 })
    const logPath = temporaryPath(home, 'shim.log')
    const log = openSync(logPath, 'w', 0o600)
    try {
      // Its own session: a Ctrl-C at the terminal of the starter is not meant for it.
      const child = spawn(process.execPath, [...nodeOptions, shimMain, logPath], {
        stdio: ['ignore', log, log, 'pipe'],
        detached: true,
        cwd: '/',
        env: { NODE_COMPILE_CACHE: cache, ...faultEnvironment },
      })
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', cause =>
          reject(new CofferError('engine_unavailable', `cannot start the shim: ${cause.message}`, { cause })),
        )
      })
      // Neither the process nor its socket keeps the starter's event loop alive: what waits for them does.
      child.unref()
      return new ShimProcess(child)
    } finally {
      closeSync(log)
    }
  }

  /** Gives the shim its box, once. */
  launch(launch: Launch): void {
    this.#socket.ref()
    this.#socket.write(`${JSON.stringify(launch)}\n`)
  }

  /** Tells the shim that its box is recorded as running: what becomes of the box from now on is the shim's to record. */
  noted(): void {
    this.#socket.write('noted\n')
  }

  /** Undefined when it has ended. */
  get identity(): ProcessIdentity | undefined {
    return identify(this.#child.pid ?? 0)
  }

  /** Whether the process can still be given a box. */
  get isAlive(): boolean {
    return !this.#socket.destroyed
  }

  /** Hangs up on a shim whose box never came up, and waits for its end; by force when it takes too long. */
  async end(): Promise<void> {
    this.#socket.destroy()
    this.#child.ref()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), endPatienceMs)
    await this.#exited
    clearTimeout(timer)
  }

  /** From now on the shim does not keep this process alive. */
  unref(): void {
    this.#socket.unref()
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}

const isSource = import.meta.filename.endsWith('.ts')
const shimMain = join(import.meta.dirname, '..', 'shim', isSource ? 'main.ts' : 'main.js')

// A shim relays; what it holds is bounded by the windows. Small heaps keep it at a third of what Node takes otherwise.
const nodeOptions = ['--max-semi-space-size=1', '--max-old-space-size=128', '--no-warnings']
