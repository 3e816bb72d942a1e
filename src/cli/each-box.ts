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
  const done = async (reference: string): Promise<readonly string[]> => {
    await work(reference)
    return [reference]
  }
  return forEachName(references, options, done, abort)
}

/** `forEachBox` for names of anything: prints the lines that `work` returns. */
export async function forEachName(
  names: readonly string[],
  options: GlobalOptions,
  work: (name: string) => Promise<readonly string[]>,
  abort?: AbortSignal,
): Promise<number> {
  let exitCode: number = exitCodes.ok
  for (const name of names) {
    try {
      for (const line of await work(name)) process.stdout.write(`${line}\n`)
    } catch (error) {
      if (abort?.aborted) throw error
      exitCode = reportError(error, { debug: options.debug === true })
    }
  }
  return exitCode
}
