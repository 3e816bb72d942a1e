import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { systemErrorCode } from '../errors.ts'
import type { Execution } from '../runtime/execution.ts'
import type { Result } from '../runtime/options.ts'
import { exitCodeOfResult, exitCodeOfSignal } from './exit-codes.ts'
import type { SignalRelay } from './signals.ts'
import { lendTerminal } from './terminal.ts'

type Options = { readonly tty: boolean; readonly signals: SignalRelay }

/** Joins the command to this process's streams, terminal and signals until it ends, and returns the exit code. */
export async function attach(execution: Execution, { tty, signals }: Options): Promise<number> {
  const broken = new AbortController()
  const onBroken = (error: Error) => {
    broken.abort(error)
    ignoreFailure(execution.killTree())
  }
  process.stdout.on('error', onBroken)
  process.stderr.on('error', onBroken)
  signals.handOver((signal, count) =>
    ignoreFailure(count === 1 ? execution.signal(signal) : execution.killTree()),
  )
  // One may have come while the execution was being started, when there was nobody to give it to.
  if (signals.first !== undefined) ignoreFailure(execution.signal(signals.first))
  const takeTerminalBack = tty ? lendTerminal(execution) : undefined
  const stopFeeding = execution.stdin === undefined ? undefined : feed(process.stdin, execution.stdin)
  try {
    await Promise.all([
      copy(execution.stdout, process.stdout, broken.signal),
      copy(execution.stderr, process.stderr, broken.signal),
      execution.wait(),
    ]).catch(async error => {
      // When the box dies, a stream may be the first to fail; `wait` knows why.
      await execution.wait()
      throw error
    })
    return exitCode(await execution.wait(), broken.signal, signals.first)
  } finally {
    takeTerminalBack?.()
    stopFeeding?.()
    process.stdout.off('error', onBroken)
    process.stderr.off('error', onBroken)
  }
}

function exitCode(result: Result, broken: AbortSignal, signal: NodeJS.Signals | undefined): number {
  if (broken.aborted) {
    // The reader went away, as `head` does: the end that a command of this machine would have had.
    if (systemErrorCode(broken.reason) === 'EPIPE') return exitCodeOfSignal('SIGPIPE')
    throw broken.reason
  }
  if (result.timedOut) process.stderr.write('coffer: the command was killed: its time was up\n')
  if (result.outOfMemory) process.stderr.write('coffer: the command was killed: the box is out of memory\n')
  if (signal !== undefined && result.signal === 'SIGKILL') return exitCodeOfSignal(signal)
  return exitCodeOfResult(result)
}

/** Byte for byte, and no faster than `target` takes it. Once that is broken, reads on so that the end is seen. */
async function copy(source: Readable, target: Writable, broken: AbortSignal): Promise<void> {
  for await (const chunk of source) {
    if (broken.aborted || target.write(chunk)) continue
    await once(target, 'drain', { signal: broken }).catch(() => {})
  }
}

/** Not a pipeline: that would destroy our stdin at the end, and a terminal must still be put back into its mode. */
function feed(source: Readable, target: Writable): () => void {
  const onData = (chunk: Buffer) => {
    if (!target.write(chunk)) source.pause()
  }
  const onDrain = () => source.resume()
  const onEnd = () => target.end()
  const stop = () => {
    source.off('data', onData).off('end', onEnd).off('error', onEnd).pause()
    target.off('drain', onDrain)
  }
  // A command that closed its input, or has ended, wants no more of it: that is no failure.
  target.on('error', stop).on('drain', onDrain)
  source.on('data', onData).on('end', onEnd).on('error', onEnd)
  return stop
}

function ignoreFailure(promise: Promise<unknown>): void {
  // Killing what has just ended fails, and `wait` tells how it ended.
  promise.catch(() => {})
}
