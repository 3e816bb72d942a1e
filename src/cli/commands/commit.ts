import type { Command } from 'commander'
import type { CommitOptions } from '../../runtime/commit-box.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'
import { collect } from '../process-options.ts'
import { withProgress, withSignals } from '../start-box.ts'

type Options = GlobalOptions & {
  readonly message?: string
  readonly author?: string
  readonly pause: boolean
  readonly change?: readonly string[]
}

export function addCommit(program: Command, context: Context): void {
  const command = program
    .command('commit')
    .summary('make an image of a box')
    .description(
      'Makes an image of a box: its image, and a layer of what was changed on its disk since. The box stands still meanwhile; one that does ' +
        'not run is started for it and stopped again. Its own command, environment and so on are not in the image: --change sets them. ' +
        'Prints the digest.',
    )
    .argument('<BOX>')
    .argument('<NAME>')
    .option('-m, --message <TEXT>', 'for the history')
    .option('-a, --author <NAME>', 'who made it')
    .option(
      '--no-pause',
      'let the box go on; files that are written meanwhile may be in the image half-written',
    )
    .option('--change <INSTRUCTION>', "as in a Dockerfile: 'CMD [\"sh\"]', 'ENV A=1'; repeatable", collect)
    .action(async (reference: string, name: string) => {
      const { message, author, pause, change, ...options } = command.optsWithGlobals<Options>()
      context.exitCode = await commit(reference, name, options, {
        pause,
        ...(message === undefined ? {} : { message }),
        ...(author === undefined ? {} : { author }),
        ...(change === undefined ? {} : { changes: change }),
      })
    })
  addExamples(command, "coffer commit -m 'tools installed' --change 'CMD [\"make\"]' builder team/builder:2")
}

async function commit(
  reference: string,
  name: string,
  options: GlobalOptions,
  committing: CommitOptions,
): Promise<number> {
  return withSignals((_signals, signal) =>
    withRuntime(options, async runtime => {
      const box = await runtime.get(reference)
      const { digest } = await withProgress(onProgress =>
        box.commit(name, { ...committing, signal, onProgress }),
      )
      process.stdout.write(`${digest}\n`)
      return exitCodes.ok
    }),
  )
}
