import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { LayerProgress } from '../../src/index.ts'

export type PullerLine =
  | { readonly layer: LayerProgress }
  | { readonly digest: string; readonly idleKib: number; readonly peakKib: number }
  | { readonly code: string; readonly message: string }

/** A process of its own that pulls one image into a home and tells how far it is. */
export class Puller implements AsyncDisposable {
  readonly lines: PullerLine[] = []
  readonly ended: Promise<void>
  readonly #child: ChildProcess

  constructor(home: string, image: string, environment: Readonly<Record<string, string>> = {}) {
    const fixture = join(import.meta.dirname, 'puller.fixture.ts')
    this.#child = spawn(process.execPath, ['--no-warnings', fixture, home, image], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    })
    this.ended = once(this.#child, 'close').then(() => {})
    if (this.#child.stdout !== null)
      createInterface(this.#child.stdout).on('line', line => this.lines.push(JSON.parse(line)))
  }

  /** What it came to. Throws if it failed. */
  async result(): Promise<{ digest: string; idleKib: number; peakKib: number }> {
    await this.ended
    const last = this.lines.at(-1)
    if (last !== undefined && 'digest' in last) return last
    throw new Error(`the other process could not pull: ${JSON.stringify(last)}`)
  }

  /** As `kill -9` would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}
