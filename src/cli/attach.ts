import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { systemErrorCode } from '../errors.ts'
import type { Execution } from '../runtime/execution.ts'
import type { Result } from '../runtime/options.ts'
import { DetachKeyFilter, type DetachKeys } from './detach-keys.ts'
import { exitCodeOfResult, exitCodeOfSignal, exitCodes } from './exit-codes.ts'
import type { SignalRelay } from './signals.ts'
import { lendTerminal } from './terminal.ts'

type Options = {
  readonly tty: boolean
  readonly signals: SignalRelay
  /** Typing them leaves the command, which runs on. */
  readonly detachKeys?: DetachKeys | undefined
  /** False: nothing is read from standard input. */
  readonly input?: boolean
  /** The command was there before: no end of ours, wanted or not, ends it. */
  readonly joined?: boolean
  /** Of a joined command: every signal leaves it, none is passed on. */
  readonly keepSignals?: boolean
}

/** What to exit with, and whether the command runs on. */
export type Attached = { readonly exitCode: number; readonly left: boolean }

/** Joins the command to this process's streams, terminal and signals until it ends or is left. */
export async function attach(execution: Execution, options: Options): Promise<Attached> {
  const { tty, signals, joined = false } = options
  const broken = new AbortController()
  const leaving = Promise.withResolvers<Attached>()
  const leave = (exitCode: number) => leaving.resolve({ exitCode, left: true })
  const onBroken = (error: Error) => {
    broken.abort(error)
    if (joined) leave(exitCodeOfSignal('SIGPIPE'))
    else ignoreFailure(execution.killTree())
  }
  process.stdout.on('error', onBroken)
  process.stderr.on('error', onBroken)
  const stopsHere = (signal: NodeJS.Signals, count: number) =>
    // A terminal makes signals of keys inside the box; one that comes here, like the end of this terminal, is for us.
    tty || signal === 'SIGHUP' || count > 1 || options.keepSignals === true
  const onSignal = (signal: NodeJS.Signals, count: number) => {
    if (joined && stopsHere(signal, count)) leave(exitCodeOfSignal(signal))
    else ignoreFailure(count === 1 ? execution.signal(signal) : execution.killTree())
  }
  signals.handOver(onSignal)
  // One may have come while the execution was being started, when there was nobody to give it to.
  if (signals.first !== undefined) onSignal(signals.first, 1)
  const stdin = options.input === false ? undefined : execution.stdin
  const takeTerminalBack = tty ? lendTerminal(execution, { keys: stdin !== undefined }) : undefined
  const stopFeeding =
    stdin === undefined
      ? undefined
      : feed(process.stdin, stdin, new DetachKeyFilter(options.detachKeys ?? []), () => leave(exitCodes.ok))
  const giveBack = () => {
    takeTerminalBack?.()
    stopFeeding?.()
  }
  try {
    const end = await Promise.race([followed(execution, broken.signal), leaving.promise])
    if ('ok' in end) return { exitCode: exitCode(end, broken.signal, signals.first), left: false }
    await execution.detach()
    giveBack()
    // The cursor is wherever the command had it.
    if (tty) process.stdout.write('\n')
    return end
  } finally {
    giveBack()
    process.stdout.off('error', onBroken)
    process.stderr.off('error', onBroken)
  }
}

async function followed(execution: Execution, broken: AbortSignal): Promise<Result> {
  try {
    await Promise.all([
      copy(execution.stdout, process.stdout, broken),
      copy(execution.stderr, process.stderr, broken),
      execution.wait(),
    ])
  } catch (error) {
    // When the box dies, a stream may be the first to fail; `wait` knows why.
    await execution.wait()
    throw error
  }
  return execution.wait()
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

/**
 * Passes on what is typed until the keys are found. Not a pipeline: that would destroy our stdin at the end, and a
 * terminal must still be put back into its mode.
 */
function feed(source: Readable, target: Writable, filter: DetachKeyFilter, onKeys: () => void): () => void {
  const onData = (chunk: Buffer) => {
    const { forward, found } = filter.push(chunk)
    const more = forward.length === 0 || target.write(forward)
    if (!more) source.pause()
    if (!found) return
    stop()
    onKeys()
  }
  const onDrain = () => source.resume()
  const onEnd = () => target.end(filter.rest())
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
