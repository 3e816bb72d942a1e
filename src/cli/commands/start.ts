import type { Command } from 'commander'
import { type Context, globalOptionsOf, withRuntime } from '../context.ts'
import { startBox, withSignals } from '../start-box.ts'
import { startEach } from '../start-each.ts'

export function addStart(program: Command, context: Context): void {
  const command = program
    .command('start')
    .summary('start boxes')
    .description(
      'Starts boxes, which then run until they are stopped. Prints what was started. A box that a program made to go with its ' +
        'starter runs for as long as this command does, which ends with it.',
    )
    .argument('<BOX...>')
    .action(async (references: string[]) => {
      const options = globalOptionsOf(command)
      context.exitCode = await withSignals((signals, signal) =>
        withRuntime(options, runtime =>
          startEach(runtime, references, { ...options, signals, signal }, box => startBox(box, signal)),
        ),
      )
    })
}
