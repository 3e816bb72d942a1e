import { existsSync, watch } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CofferError } from '../errors.ts'
import { outputLogFiles } from '../shim/output-log.ts'
import type { LogEntry, LogOptions } from './options.ts'
import { checkInteger } from './validate.ts'

/** Reads the log of a main process, oldest entry first; with `follow` until `isRunning` says that no more will come. */
export async function* readLogs(
  path: string,
  options: LogOptions,
  isRunning: () => boolean,
): AsyncGenerator<LogEntry, void, undefined> {
  const lines =
    options.lines === undefined ? undefined : checkInteger('lines', options.lines, 0, Number.MAX_SAFE_INTEGER)
  const isWanted = (entry: LogEntry): boolean =>
    (options.streams?.includes(entry.stream) ?? true) &&
    (options.since === undefined || entry.at >= options.since)
  await using source = new LogSource(path)
  // 1. What is there.
  const kept: LogEntry[] = []
  for await (const entry of source.entries()) {
    if (!isWanted(entry)) continue
    if (lines === undefined) yield entry
    else keepLastLines(kept, entry, lines)
  }
  yield* kept
  // 2. What comes.
  while (options.follow && !options.signal?.aborted) {
    const wasRunning = isRunning()
    for await (const entry of source.entries()) if (isWanted(entry)) yield entry
    if (!wasRunning) return
    await source.changed(options.signal)
  }
}

/** Drops from the front what lies before the last `count` line ends. */
function keepLastLines(kept: LogEntry[], entry: LogEntry, count: number): void {
  kept.push(entry)
  const isOpen = entry.data.at(-1) !== newline
  let wanted = isOpen ? count - 1 : count
  for (let index = kept.length - 1; index >= 0; index--) {
    const { data } = kept[index] ?? entry
    for (let at = data.length; at > 0; ) {
      at = data.lastIndexOf(newline, at - 1)
      if (at < 0) break
      wanted -= 1
      if (wanted >= 0) continue
      kept[index] = { ...(kept[index] ?? entry), data: data.subarray(at + 1) }
      kept.splice(0, index)
      return
    }
  }
}

const newline = 0x0a
const chunkBytes = 64 * 1024
const maxHeaderBytes = 64

/** The files of a log as one sequence of entries, which goes on where it stopped, also across a rotation. */
class LogSource implements AsyncDisposable {
  readonly #path: string
  #file: FileHandle | undefined
  #inode: bigint | undefined
  #rest = Buffer.alloc(0)

  constructor(path: string) {
    this.#path = path
  }

  async *entries(): AsyncGenerator<LogEntry, void, undefined> {
    if (this.#file === undefined) {
      for (let age = outputLogFiles - 1; age > 0; age--) yield* this.#wholeFile(`${this.#path}.${age}`)
      if (!(await this.#open())) return
    }
    yield* this.#newEntries()
    // Rotated: the rest of what we have open was read above, as nothing is written to it any more.
    while (await this.#isRotated()) {
      await this.#file?.close()
      if (!(await this.#open())) return
      yield* this.#newEntries()
    }
  }

  async changed(signal: AbortSignal | undefined): Promise<void> {
    const longestMs = 1_000
    const wake = new AbortController()
    // The directory, not the file: a rotation replaces the file.
    const watcher = watch(dirname(this.#path), (_event, name) => {
      if (name === basename(this.#path)) wake.abort()
    })
    try {
      const signals = signal === undefined ? wake.signal : AbortSignal.any([wake.signal, signal])
      await sleep(longestMs, undefined, { signal: signals }).catch(() => {})
    } finally {
      watcher.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  async *#wholeFile(path: string): AsyncGenerator<LogEntry, void, undefined> {
    if (!existsSync(path)) return
    await using older = new LogSource(path)
    if (await older.#open()) yield* older.#newEntries()
  }

  async #open(): Promise<boolean> {
    this.#rest = Buffer.alloc(0)
    this.#file = existsSync(this.#path) ? await open(this.#path, 'r') : undefined
    this.#inode = (await this.#file?.stat({ bigint: true }))?.ino
    return this.#file !== undefined
  }

  async #isRotated(): Promise<boolean> {
    if (!existsSync(this.#path)) return false
    await using now = await open(this.#path, 'r')
    return (await now.stat({ bigint: true })).ino !== this.#inode
  }

  async *#newEntries(): AsyncGenerator<LogEntry, void, undefined> {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    for (;;) {
      const { bytesRead } = (await this.#file?.read(chunk, 0, chunkBytes)) ?? { bytesRead: 0 }
      if (bytesRead === 0) return
      this.#rest = Buffer.concat([this.#rest, chunk.subarray(0, bytesRead)])
      for (let taken = takeEntry(this.#rest); taken !== undefined; taken = takeEntry(this.#rest)) {
        this.#rest = this.#rest.subarray(taken.bytes)
        yield taken.entry
      }
    }
  }
}

/** The first entry of `bytes`, if all of it is there. */
function takeEntry(bytes: Buffer): { entry: LogEntry; bytes: number } | undefined {
  const end = bytes.subarray(0, maxHeaderBytes).indexOf(newline)
  if (end < 0 && bytes.length < maxHeaderBytes) return undefined
  const header = /^(\d{1,15}) (stdout|stderr) (\d{1,7})$/.exec(bytes.toString('latin1', 0, Math.max(end, 0)))
  if (header === null)
    throw new CofferError('storage_error', 'the output log is damaged', {
      hint: 'coffer logs --console still works.',
    })
  const start = end + 1
  const length = Number(header[3])
  if (bytes.length < start + length + 1) return undefined
  const stream = header[2] === 'stderr' ? 'stderr' : 'stdout'
  const data = Buffer.from(bytes.subarray(start, start + length))
  return { entry: { at: new Date(Number(header[1])), stream, data }, bytes: start + length + 1 }
}
