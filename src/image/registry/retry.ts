import { setTimeout as sleep } from 'node:timers/promises'
import { abortError, type Step, TransientError } from './failure.ts'

export type RetryPolicy = {
  /** Tries in all, the first among them. */
  readonly attempts: number
  /** The wait before the second try. Each further one is twice as long. */
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  /** A registry that wants to be left alone for longer than this is not waited for. */
  readonly maxRetryAfterMs: number
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 5,
  baseDelayMs: 250,
  maxDelayMs: 10_000,
  maxRetryAfterMs: 60_000,
}

/** Does `action` until it succeeds, fails for good, or was tried as often as it is worth. Waits end at once when `signal` says so. */
export async function withRetries<T>(
  policy: RetryPolicy,
  step: Step,
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted) throw abortError(step, signal)
    try {
      return await action()
    } catch (error) {
      if (!mayRetry(policy, attempt, error)) throw error
      await pause(delayBefore(policy, attempt, error), step, signal)
    }
  }
}

export function mayRetry(policy: RetryPolicy, attempt: number, error: unknown): error is TransientError {
  if (!(error instanceof TransientError)) return false
  if (attempt >= Math.min(policy.attempts, error.attempts)) return false
  return (error.retryAfterMs ?? 0) <= policy.maxRetryAfterMs
}

/** Exponential, between half and all of it at random, and never earlier than the registry asked for. */
export function delayBefore(policy: RetryPolicy, attempt: number, error: TransientError): number {
  const full = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (attempt - 1))
  return Math.max(error.retryAfterMs ?? 0, full * (0.5 + Math.random() / 2))
}

export async function pause(delayMs: number, step: Step, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delayMs, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    throw signal?.aborted ? abortError(step, signal) : error
  }
}
