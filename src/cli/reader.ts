import { systemErrorCode } from '../errors.ts'
import { exitCodeOfSignal, exitCodes } from './exit-codes.ts'

/**
 * Does `work`, which prints for as long as somebody reads. A reader that goes away, as `head` does, aborts it: the exit code is then the one
 * that a command of this machine would have had, and no error is told.
 */
export async function whileRead(work: (gone: AbortSignal) => Promise<void>): Promise<number> {
  const gone = new AbortController()
  const onError = (error: Error) => gone.abort(error)
  process.stdout.on('error', onError)
  process.stderr.on('error', onError)
  try {
    await work(gone.signal)
  } catch (error) {
    if (!gone.signal.aborted) throw error
  } finally {
    process.stdout.off('error', onError)
    process.stderr.off('error', onError)
  }
  if (!gone.signal.aborted) return exitCodes.ok
  if (systemErrorCode(gone.signal.reason) === 'EPIPE') return exitCodeOfSignal('SIGPIPE')
  throw gone.signal.reason
}
