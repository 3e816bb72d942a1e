import type { Command } from 'commander'
import { type Context, globalOptionsOf, withRuntime } from '../context.ts'
import { forEachBox } from '../each-box.ts'

export function addUnpause(program: Command, context: Context): void {
  const command = program
    .command('unpause')
    .summary('let paused boxes go on')
    .description('Lets paused boxes go on, their clocks set right. Prints what goes on.')
    .argument('<BOX...>')
    .action(async (references: string[]) => {
      const options = globalOptionsOf(command)
      context.exitCode = await withRuntime(options, runtime =>
        forEachBox(references, options, async reference => (await runtime.get(reference)).resume()),
      )
    })
}
