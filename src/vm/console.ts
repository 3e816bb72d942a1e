import { closeSync, openSync, renameSync, writeSync } from 'node:fs'
import type { Readable } from 'node:stream'

const tailBytes = 16 * 1024

/** The last words of a serial console, in memory. */
export class ConsoleTail {
  #bytes = Buffer.alloc(0)

  constructor(source: Readable) {
    source.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(-tailBytes)
    })
  }

  get text(): string {
    return this.#bytes.toString('utf8')
  }
}

/** Bytes of the console kept on disk: one file being written and one before it. */
export const consoleFileBytes = 1024 * 1024

/**
 * Writes a serial console into a file that never grows past `consoleFileBytes`: then it becomes `PATH.1` and a new one begins.
 * A guest kernel chooses what and how much it prints.
 */
export class ConsoleLog implements Disposable {
  readonly #path: string
  #descriptor: number
  #written = 0

  constructor(source: Readable, path: string) {
    this.#path = path
    this.#descriptor = openSync(path, 'a', 0o600)
    source.on('data', (chunk: Buffer) => this.#write(chunk))
  }

  [Symbol.dispose](): void {
    if (this.#descriptor < 0) return
    closeSync(this.#descriptor)
    this.#descriptor = -1
  }

  #write(chunk: Buffer): void {
    if (this.#descriptor < 0) return
    try {
      if (this.#written + chunk.length > consoleFileBytes) this.#rotate()
      writeSync(this.#descriptor, chunk)
      this.#written += chunk.length
    } catch {
      // A full disk must not end the box for want of a log; the file simply ends here.
      this[Symbol.dispose]()
    }
  }

  #rotate(): void {
    closeSync(this.#descriptor)
    this.#descriptor = -1
    renameSync(this.#path, `${this.#path}.1`)
    this.#descriptor = openSync(this.#path, 'w', 0o600)
    this.#written = 0
  }
}
