import type { Command } from 'commander'
import type { ImageInfo } from '../../image/describe.ts'
import type { LoadOptions } from '../../runtime/image-transfers.ts'
import { formatBytes } from '../bytes.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'
import { standardInput } from '../standard-input.ts'
import { withProgress, withSignals } from '../start-box.ts'

type Options = GlobalOptions & { readonly input?: string; readonly name?: string; readonly quiet?: boolean }

export function addLoad(program: Command, context: Context): void {
  const command = program
    .command('load')
    .summary('bring in images from an archive')
    .description(
      'Brings in all images of an archive: of docker save, of OCI, plain or compressed; or of an OCI layout directory. Prints their names, or ' +
        'their digests where they have none.',
    )
    .option('-i, --input <PATH>', 'the archive or directory; - for standard input (the default)')
    .option('--name <NAME>', 'name of an image that has none; of one that only has a tag, what is before it')
    .option('-q, --quiet', 'show no progress')
    .action(async () => {
      context.exitCode = await load(command.optsWithGlobals<Options>())
    })
  addExamples(command, 'docker save app:1 | coffer load', 'coffer load -i app.tar')
}

async function load(options: Options): Promise<number> {
  const { input = '-', name } = options
  const source = input === '-' ? standardInput('an archive of images') : input
  return withSignals((_signals, signal) =>
    withRuntime(options, async runtime => {
      const images = await withProgress(
        onProgress => {
          const step = `loading ${input === '-' ? 'images' : input}`
          let bytes = 0
          const loading: LoadOptions = {
            signal,
            onBytes: count => {
              bytes += count
              onProgress({ step, detail: formatBytes(bytes) })
            },
            ...(name === undefined ? {} : { name }),
          }
          return runtime.images.load(source, loading)
        },
        options.quiet === true ? 'none' : 'long',
      )
      process.stdout.write(images.map(image => `${labelOf(image)}\n`).join(''))
      return exitCodes.ok
    }),
  )
}

function labelOf({ names, digest }: ImageInfo): string {
  return names[0] ?? digest ?? ''
}
