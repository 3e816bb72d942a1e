import type { GlobalOptions } from './context.ts'
import { exitCodes } from './exit-codes.ts'
import { reportError } from './report-error.ts'

/** Does `work` for each box and prints those for which it succeeded; one failure does not keep the others from it. */
export async function forEachBox(
  references: readonly string[],
  options: GlobalOptions,
  work: (reference: string) => Promise<void>,
): Promise<number> {
  let exitCode: number = exitCodes.ok
  for (const reference of references) {
    try {
      await work(reference)
      process.stdout.write(`${reference}\n`)
    } catch (error) {
      exitCode = reportError(error, { debug: options.debug === true })
    }
  }
  return exitCode
}
