import type { Command } from 'commander'
import { type Context, globalOptionsOf, withRuntime } from '../context.ts'
import { exitCodeOfResult, exitCodes } from '../exit-codes.ts'
import { reportError } from '../report-error.ts'

export function addWait(program: Command, context: Context): void {
  const command = program
    .command('wait')
    .summary('wait until boxes have stopped')
    .description(
      'Waits until every box has stopped and prints the exit codes of their main processes, a line for each box, in the ' +
        'order in which they were named; - for a box that had none. A box that does not run is not waited for.',
    )
    .argument('<BOX...>')
    .action(async (references: string[]) => {
      const options = globalOptionsOf(command)
      context.exitCode = await withRuntime(options, async runtime => {
        const waits = references.map(async reference => (await runtime.get(reference)).wait())
        let exitCode: number = exitCodes.ok
        // All are waited for at once; only the lines come in order.
        for (const ended of await Promise.allSettled(waits)) {
          if (ended.status === 'fulfilled') process.stdout.write(`${formatExitCode(ended.value.exitCode)}\n`)
          else exitCode = reportError(ended.reason, { debug: options.debug === true })
        }
        return exitCode
      })
    })
}

/** As the command line would have exited: 128 + N for signal N. */
function formatExitCode(exitCode: number | undefined): string {
  return exitCode === undefined ? '-' : String(exitCodeOfResult({ exitCode }))
}
