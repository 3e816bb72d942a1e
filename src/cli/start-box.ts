import { isCofferError } from '../errors.ts'
import type { Box } from '../runtime/box.ts'
import type { StepListener } from '../runtime/options.ts'
import { exitCodeOfSignal } from './exit-codes.ts'
import { type Progress, type ProgressMode, showProgress } from './progress.ts'
import { SignalRelay } from './signals.ts'

/** Starts the box if it does not run, showing how far it is. */
export async function startBox(box: Box, signal: AbortSignal): Promise<void> {
  await withProgress(onProgress => box.start({ onProgress, signal }))
}

/** Does what may take long, showing how far it is. */
export async function withProgress<Value>(
  work: (onProgress: StepListener, progress: Progress) => Promise<Value>,
  mode: ProgressMode = 'long',
): Promise<Value> {
  const progress = showProgress(mode)
  try {
    return await work(progress.onProgress, progress)
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
