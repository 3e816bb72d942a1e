import type { Command } from 'commander'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { forEachBox } from '../each-box.ts'

type Options = GlobalOptions & { readonly force?: boolean }

export function addRm(program: Command, context: Context): void {
  const command = program
    .command('rm')
    .summary('remove boxes and their disks')
    .description('Removes boxes and everything on their disks. Prints what was removed.')
    .argument('<BOX...>')
    .option('-f, --force', 'remove a box that runs, too')
    .action(async (references: string[]) => {
      const options = command.optsWithGlobals<Options>()
      context.exitCode = await withRuntime(options, runtime =>
        forEachBox(references, options, reference =>
          runtime.remove(reference, { force: options.force === true }),
        ),
      )
    })
}
