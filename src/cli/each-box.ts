import type { GlobalOptions } from './context.ts'
import { exitCodes } from './exit-codes.ts'
import { reportError } from './report-error.ts'

/**
 * Does `work` for each box and prints those for which it succeeded; one failure does not keep the others from it. Once `abort` has fired,
 * the error is the caller's.
 */
export async function forEachBox(
  references: readonly string[],
  options: GlobalOptions,
  work: (reference: string) => Promise<void>,
  abort?: AbortSignal,
): Promise<number> {
  let exitCode: number = exitCodes.ok
  for (const reference of references) {
    try {
      await work(reference)
      process.stdout.write(`${reference}\n`)
    } catch (error) {
      if (abort?.aborted) throw error
      exitCode = reportError(error, { debug: options.debug === true })
    }
  }
  return exitCode
}
