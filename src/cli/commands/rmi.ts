import type { Command } from 'commander'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { forEachName } from '../each-box.ts'

type Options = GlobalOptions & { readonly force?: boolean }

export function addRmi(program: Command, context: Context): void {
  const command = program
    .command('rmi')
    .summary('remove images')
    .description(
      'Takes names away from images, and removes an image with its last name. Prints what went. An image that a box uses stays; with -f its ' +
        'names go, and the rest with the last of those boxes.',
    )
    .argument('<IMAGE...>')
    .option('-f, --force', 'also what boxes use, and, of an id, all names')
    .action(async (names: string[]) => {
      const options = command.optsWithGlobals<Options>()
      context.exitCode = await withRuntime(options, runtime =>
        forEachName(names, options, async name => {
          const { untagged, removed } = await runtime.images.remove(name, { force: options.force === true })
          return [
            ...untagged.map(reference => `untagged ${reference}`),
            ...(removed === undefined ? [] : [`removed ${removed}`]),
          ]
        }),
      )
    })
}
