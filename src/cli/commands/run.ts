import type { Command } from 'commander'
import { isCofferError } from '../../errors.ts'
import type { Box } from '../../runtime/box.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { attach } from '../attach.ts'
import { addBoxOptions, type BoxShape, boxOptions } from '../box-options.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { readEnvironment } from '../environment.ts'
import { addProcessOptions, executionOptions, type ProcessOptions } from '../process-options.ts'
import { splitRun } from '../split-run.ts'
import { startBox, withSignals } from '../start-box.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & BoxShape & ProcessOptions & { readonly keep?: boolean; readonly rm?: boolean }

export function addRun(program: Command, context: Context): void {
  const command = program
    .command('run')
    .summary('make a box, run a command in it, remove the box')
    .description(
      'Makes a box, runs a command in it and removes the box. Without IMAGE: busybox. Without CMD: a shell.\n' +
        'Options after IMAGE or after -- belong to the command.',
    )
    .usage('[options] [IMAGE] [--] [CMD...]')
    .argument('[IMAGE]')
    .argument('[CMD...]')
    .passThroughOptions()
  addBoxOptions(addProcessOptions(command))
    .option('--rm', 'remove the box when the command has ended (the default)')
    .option('--keep', 'keep the box, stopped, with its disk')
    .action(async () => {
      const { image, command: words } = splitRun(context.commandLine, command.args)
      context.exitCode = await run(image, words, command.optsWithGlobals<Options>())
    })
}

async function run(image: string | undefined, words: readonly string[], given: Options): Promise<number> {
  if (given.keep === true && given.rm === true) throw new UsageError('--rm and --keep exclude each other')
  const options = words.length === 0 ? withShell(given) : given
  const keep = options.keep === true
  const { cwd, user, ...execution } = executionOptions(options)
  const [file = 'sh', ...args] = words

  return withSignals((signals, abort) =>
    withRuntime(options, async runtime => {
      const box = await runtime.create(
        {
          ...boxOptions(options, image),
          // Of the box rather than of this one command: a box that is kept keeps them.
          env: readEnvironment(options.env, options.envFile),
          ...(cwd === undefined ? {} : { workdir: cwd }),
          ...(user === undefined ? {} : { user }),
          ephemeral: !keep,
          // A kept box can be started again, and then it must outlive the process that does so.
          detach: keep,
        },
        options.name,
      )
      let started = false
      try {
        await startBox(box, abort)
        started = true
        return await attach(await box.exec(file, args, execution), { tty: options.tty === true, signals })
      } finally {
        if (keep && started) await box.stop()
        else await discard(runtime, box)
      }
    }),
  )
}

/** A shell needs someone to talk to: at a terminal it gets it, elsewhere it would end at once without a word. */
function withShell(options: Options): Options {
  if (options.interactive === true || options.tty === true) return options
  if (process.stdin.isTTY === true && process.stdout.isTTY === true)
    return { ...options, interactive: true, tty: true }
  throw new UsageError(
    'no command to run',
    'name one, as in `coffer run -- uname -a`, or pass a script to `coffer run -i`',
  )
}

async function discard(runtime: Runtime, box: Box): Promise<void> {
  try {
    await runtime.remove(box.id, { force: true })
  } catch (error) {
    // It went with its stop, or with the start that failed.
    if (!isCofferError(error, 'not_found')) throw error
  }
}
