import { Writable } from 'node:stream'
import { CofferError } from '../errors.ts'
import { windowBytes } from './protocol.ts'

/** A frame waits for credit for all of it; with four to a window, the guest has one to read while the next is on its way. */
const frameBytes = windowBytes / 4

type Done = (error?: Error | null) => void

/** Standard input of an execution. A write is done when its last byte was sent, which waits for the reader in the guest. */
export class InputStream extends Writable {
  readonly #send: (bytes: Buffer, isEnd: boolean) => void
  #credit = windowBytes
  #waiting: { bytes: Buffer; done: Done } | undefined
  #isRefused = false

  constructor(send: (bytes: Buffer, isEnd: boolean) => void) {
    super({ highWaterMark: 64 * 1024, decodeStrings: true })
    this.#send = send
    this.on('error', () => {})
  }

  /** The guest reads on. */
  grant(bytes: number): void {
    this.#credit += bytes
    this.#flush()
  }

  /** The process closed its input or is gone: what is written from now on fails with EPIPE. */
  refuse(): void {
    this.#isRefused = true
    this.#flush()
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#waiting = { bytes: chunk, done }
    this.#flush()
  }

  override _final(done: Done): void {
    if (!this.#isRefused) this.#send(Buffer.alloc(0), true)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.done(error ?? brokenPipe())
    done(error)
  }

  #flush(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    while (!this.#isRefused && waiting.bytes.length > 0 && this.#credit > 0) {
      const length = Math.min(waiting.bytes.length, this.#credit, frameBytes)
      this.#send(waiting.bytes.subarray(0, length), false)
      waiting.bytes = waiting.bytes.subarray(length)
      this.#credit -= length
    }
    if (!this.#isRefused && waiting.bytes.length > 0) return
    this.#waiting = undefined
    waiting.done(this.#isRefused ? brokenPipe() : null)
  }
}

function brokenPipe(): CofferError {
  return new CofferError(
    'execution_failed',
    'cannot write to standard input: the process does not read it any more',
    {
      details: { errno: 'EPIPE' },
    },
  )
}
