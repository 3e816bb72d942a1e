import { isCofferError } from '../errors.ts'
import type { Box } from '../runtime/box.ts'
import { exitCodeOfSignal } from './exit-codes.ts'
import { showProgress } from './progress.ts'
import { SignalRelay } from './signals.ts'

/** Starts the box if it does not run, showing how far it is. */
export async function startBox(box: Box, signal?: AbortSignal): Promise<void> {
  const progress = showProgress()
  try {
    await box.start({ onProgress: progress.onProgress, ...(signal === undefined ? {} : { signal }) })
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
    if (signals.first !== undefined && isCofferError(error, 'aborted')) return exitCodeOfSignal(signals.first)
    throw error
  } finally {
    signals.release()
  }
}
