import type { Command } from 'commander'
import { type Context, globalOptionsOf, withRuntime } from '../context.ts'
import { forEachBox } from '../each-box.ts'

export function addPause(program: Command, context: Context): void {
  const command = program
    .command('pause')
    .summary('freeze boxes')
    .description(
      'Freezes boxes: their processes, file systems and processors stand still, and their memory stays on the host. ' +
        'Prints what was paused. `coffer unpause` lets them go on.',
    )
    .argument('<BOX...>')
    .action(async (references: string[]) => {
      const options = globalOptionsOf(command)
      context.exitCode = await withRuntime(options, runtime =>
        forEachBox(references, options, async reference => (await runtime.get(reference)).pause()),
      )
    })
}
