import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { frameTypes } from '../guest/protocol.ts'

/** Bytes of one file of the log; with those before it, four are kept. */
export const outputLogFileBytes = 10 * 1024 * 1024
export const outputLogFiles = 4

/**
 * What the main process wrote, as it wrote it: for each piece a line `MILLISECONDS STREAM BYTES`, the bytes, and a newline. Rotated:
 * `output.log` is the newest, `output.log.3` the oldest.
 */
export class OutputLog implements Disposable {
  readonly #path: string
  #descriptor: number
  #bytes: number

  constructor(path: string) {
    this.#path = path
    this.#descriptor = openSync(path, 'a', 0o600)
    this.#bytes = fstatSync(this.#descriptor).size
  }

  write(type: number, bytes: Buffer): void {
    if (this.#descriptor < 0 || bytes.length === 0) return
    const stream = type === frameTypes.stderr ? 'stderr' : 'stdout'
    const record = Buffer.concat([Buffer.from(`${Date.now()} ${stream} ${bytes.length}\n`), bytes, newline])
    try {
      if (this.#bytes + record.length > outputLogFileBytes) this.#rotate()
      for (let position = 0; position < record.length; )
        position += writeSync(this.#descriptor, record, position, record.length - position)
      this.#bytes += record.length
    } catch {
      // A full disk must not end the box for want of a log; the log simply ends here.
      this[Symbol.dispose]()
    }
  }

  [Symbol.dispose](): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor)
    this.#descriptor = -1
  }

  #rotate(): void {
    this[Symbol.dispose]()
    const name = (age: number): string => (age === 0 ? this.#path : `${this.#path}.${age}`)
    rmSync(name(outputLogFiles - 1), { force: true })
    for (let age = outputLogFiles - 2; age >= 0; age--) {
      try {
        renameSync(name(age), name(age + 1))
      } catch {
        // Not that many yet.
      }
    }
    this.#descriptor = openSync(this.#path, 'w', 0o600)
    this.#bytes = 0
  }
}

const newline = Buffer.from('\n')
