import type { Command } from 'commander'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { forEachBox } from '../each-box.ts'
import { addExamples } from '../help-examples.ts'
import { type StopOptions, stopOptions, stopTimeoutOption } from '../stop-option.ts'

type Options = GlobalOptions & StopOptions

export function addStop(program: Command, context: Context): void {
  const command = program
    .command('stop')
    .summary('stop boxes, keeping their disks')
    .description(
      'Stops boxes, whatever their restart policy: everything in them gets SIGTERM, then SIGKILL. Prints what was stopped.',
    )
    .argument('<BOX...>')
    .addOption(stopTimeoutOption())
    .action(async (references: string[]) => {
      const options = command.optsWithGlobals<Options>()
      context.exitCode = await withRuntime(options, runtime =>
        forEachBox(references, options, async reference =>
          (await runtime.get(reference)).stop(stopOptions(options)),
        ),
      )
    })
  addExamples(command, 'coffer stop -t 30 web')
}
