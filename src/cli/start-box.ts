import { isCofferError } from '../errors.ts'
import type { Box } from '../runtime/box.ts'
import type { StepListener } from '../runtime/options.ts'
import { exitCodeOfSignal } from './exit-codes.ts'
import { showProgress } from './progress.ts'
import { SignalRelay } from './signals.ts'

/** Starts the box if it does not run, showing how far it is. */
export async function startBox(box: Box, signal: AbortSignal): Promise<void> {
  await withProgress(onProgress => box.start({ onProgress, signal }))
}

/** Does what may have to start a box, showing how far that is. */
export async function withProgress<Value>(
  work: (onProgress: StepListener) => Promise<Value>,
): Promise<Value> {
  const progress = showProgress()
  try {
    return await work(progress.onProgress)
  } finally {
    progress.stop()
  }
}

/**
 * Runs `work` with this process's signals taken over: until `work` hands them to a command, they abort it, and the
 * exit code is then the signal's, without a word of error.
 */
export async function withSignals(
  work: (signals: SignalRelay, abort: AbortSignal) => Promise<number>,
): Promise<number> {
  const controller = new AbortController()
  const signals = new SignalRelay(() => controller.abort())
  try {
    return await work(signals, controller.signal)
  } catch (error) {
    const isOurs =
      isCofferError(error, 'aborted') || (error !== undefined && error === controller.signal.reason)
    if (signals.first !== undefined && isOurs) return exitCodeOfSignal(signals.first)
    throw error
  } finally {
    signals.release()
  }
}
