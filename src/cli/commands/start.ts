import type { Command } from 'commander'
import { type Context, globalOptionsOf, withRuntime } from '../context.ts'
import { forEachBox } from '../each-box.ts'
import { startBox, withSignals } from '../start-box.ts'

export function addStart(program: Command, context: Context): void {
  const command = program
    .command('start')
    .summary('start boxes')
    .description('Starts boxes, which then run until they are stopped. Prints what was started.')
    .argument('<BOX...>')
    .action(async (references: string[]) => {
      const options = globalOptionsOf(command)
      context.exitCode = await withSignals((_signals, abort) =>
        withRuntime(options, runtime =>
          forEachBox(references, options, async reference => startBox(await runtime.get(reference), abort)),
        ),
      )
    })
}
