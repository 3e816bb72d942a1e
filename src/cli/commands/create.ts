import type { Command } from 'commander'
import type { BoxOptions } from '../../runtime/options.ts'
import { addBoxOptions, type BoxShape, boxOptions, mainProcess } from '../box-options.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { readEnvironment } from '../environment.ts'
import { addExamples } from '../help-examples.ts'
import { collect } from '../process-options.ts'
import { splitRun } from '../split-run.ts'

type Options = GlobalOptions &
  BoxShape & {
    readonly env?: readonly string[]
    readonly envFile?: readonly string[]
    readonly workdir?: string
    readonly user?: string
    readonly tty?: boolean
  }

export function addCreate(program: Command, context: Context): void {
  const command = program
    .command('create')
    .summary('make a box without starting it')
    .description(
      'Makes a box and prints its id. It starts with `coffer start`, `coffer attach` or the first `coffer exec`, which pulls IMAGE.\n' +
        "CMD, after the image's entrypoint, becomes its main process, whose end stops the box; without it the box runs until it is stopped.",
    )
    .usage('[options] [IMAGE] [--] [CMD...]')
    .argument('[IMAGE]')
    .argument('[CMD...]')
    .passThroughOptions()
  addBoxOptions(command)
    .option('-e, --env <KEY[=VALUE]>', 'set a variable for every command in the box; repeatable', collect)
    .option('--env-file <FILE>', 'read variables from a file, one on each line; repeatable', collect)
    .option('-w, --workdir <DIR>', 'directory in the box where commands run')
    .option('-u, --user <USER>', 'user in the box: NAME|UID[:GROUP|GID]')
    .option('-t, --tty', 'give the main process a terminal')
    .action(async () => {
      const { image, command: words } = splitRun(context.commandLine, command.args)
      await create(image, words, command.optsWithGlobals<Options>())
      context.exitCode = 0
    })
  addExamples(
    command,
    'coffer create --name web --label project=shop',
    'coffer create --name db --restart always --health-port 5432 IMAGE -- CMD',
  )
}

async function create(image: string | undefined, words: readonly string[], options: Options): Promise<void> {
  // Before a home is made: what is wrong with the command line shows here.
  const shape: BoxOptions = {
    ...boxOptions(options, image),
    ...mainProcess(options, words),
    ...(options.tty === true ? { tty: true } : {}),
    env: readEnvironment(options.env, options.envFile),
    ...(options.workdir === undefined ? {} : { workdir: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
    // This process ends at once, and so does the one that starts the box.
    detach: true,
  }
  await withRuntime(options, async runtime => {
    const box = await runtime.create(shape, options.name)
    process.stdout.write(`${box.id}\n`)
  })
}
