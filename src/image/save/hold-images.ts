import { CofferError } from '../../errors.ts'
import type { Lock } from '../../state/lock.ts'
import type { ImageStore } from '../store.ts'

/** While this is held, no blob is removed. `step` is for messages. Throws `aborted`. */
export async function holdImages(
  store: ImageStore,
  step: string,
  signal: AbortSignal | undefined,
): Promise<Lock> {
  try {
    signal?.throwIfAborted()
    return await store.hold(signal)
  } catch (error) {
    throw signal?.aborted === true ? abortedError(step, signal) : error
  }
}

export function checkAborted(step: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(step, signal)
}

function abortedError(step: string, signal: AbortSignal): CofferError {
  return new CofferError('aborted', `${step} was given up`, { cause: signal.reason })
}
