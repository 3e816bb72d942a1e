import { once } from 'node:events'
import { StringDecoder } from 'node:string_decoder'
import type { LogEntry } from '../runtime/options.ts'
import { printable } from './style.ts'

type Options = {
  readonly timestamps: boolean
  /** Aborted when a reader has gone. */
  readonly broken: AbortSignal
}

type Stream = LogEntry['stream']

/** Prints what a main process wrote, each stream on that of ours, as fast as it is read. */
export class LogPrinter {
  readonly #options: Options
  readonly #targets: Readonly<Record<Stream, LogTarget>>

  constructor(
    options: Options,
    streams: Readonly<Record<Stream, NodeJS.WriteStream>> = {
      stdout: process.stdout,
      stderr: process.stderr,
    },
  ) {
    this.#options = options
    this.#targets = {
      stdout: new LogTarget(streams.stdout, options.timestamps),
      stderr: new LogTarget(streams.stderr, options.timestamps),
    }
  }

  async print(entry: LogEntry): Promise<void> {
    await this.#targets[entry.stream].print(entry, this.#options.broken)
  }
}

class LogTarget {
  readonly #stream: NodeJS.WriteStream
  readonly #timestamps: boolean
  // A character may be cut in two between entries.
  readonly #decoder = new StringDecoder('utf8')
  #atLineStart = true

  constructor(stream: NodeJS.WriteStream, timestamps: boolean) {
    this.#stream = stream
    this.#timestamps = timestamps
  }

  async print(entry: LogEntry, broken: AbortSignal): Promise<void> {
    const bytes = this.#timestamps ? this.#stamped(entry) : entry.data
    // The guest chose these bytes: on a terminal they are text and nothing else.
    const shown = this.#stream.isTTY === true ? textOnly(this.#decoder.write(bytes)) : bytes
    if (broken.aborted || this.#stream.write(shown)) return
    await once(this.#stream, 'drain', { signal: broken }).catch(() => {})
  }

  /** Each line with the time at which its first byte was written. */
  #stamped({ at, data }: LogEntry): Buffer {
    const stamp = Buffer.from(`${at.toISOString()} `)
    const pieces: Buffer[] = []
    for (let start = 0; start < data.length; ) {
      const newline = data.indexOf(0x0a, start)
      const end = newline === -1 ? data.length : newline + 1
      if (this.#atLineStart) pieces.push(stamp)
      pieces.push(data.subarray(start, end))
      this.#atLineStart = newline !== -1
      start = end
    }
    return Buffer.concat(pieces)
  }
}

// A main process with a terminal ends its lines with both.
function textOnly(text: string): string {
  return printable(text.replace(/\r+\n/g, '\n'))
}
