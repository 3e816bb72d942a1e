import { CofferError, isCofferError } from '../errors.ts'

/** The end of a lock's wait or of a timer by `signal`, as the error it is; everything else as it is. */
export function abortError(step: string, signal: AbortSignal | undefined, error: unknown): unknown {
  if (isCofferError(error) || !signal?.aborted) return error
  const isLate = signal.reason instanceof Error && signal.reason.name === 'TimeoutError'
  return isLate
    ? new CofferError('timeout', `${step} took too long`, { cause: signal.reason })
    : new CofferError('aborted', `${step} was given up`, { cause: signal.reason })
}
