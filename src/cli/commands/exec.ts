import type { Command } from 'commander'
import { attach } from '../attach.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { addProcessOptions, executionOptions, type ProcessOptions } from '../process-options.ts'
import { withoutSeparator } from '../split-run.ts'
import { startBox, withProgress, withSignals } from '../start-box.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & ProcessOptions

export function addExec(program: Command, context: Context): void {
  const command = program
    .command('exec')
    .summary('run a command in a box')
    .description(
      'Runs a command in a box, and starts the box if it does not run. Options after BOX belong to the command.',
    )
    .usage('[options] BOX [--] CMD [ARG...]')
    .argument('<BOX>')
    .argument('[CMD...]')
    .passThroughOptions()
  addProcessOptions(command)
    .option('-d, --detach', 'do not wait for the command: print the id of its execution')
    .action(async () => {
      const [reference = '', ...words] = command.args
      context.exitCode = await exec(reference, withoutSeparator(words), command.optsWithGlobals<Options>())
    })
}

async function exec(reference: string, words: readonly string[], options: Options): Promise<number> {
  const [file, ...args] = words
  if (file === undefined)
    throw new UsageError('no command to run', `for a shell: coffer exec -it ${reference} sh`)
  const execOptions = executionOptions(options)
  return withSignals((signals, abort) =>
    withRuntime(options, async runtime => {
      const box = await runtime.get(reference)
      // The first start may take long and shows its steps. Later ones are the library's to allow: a main process that has ended
      // must not do its job again for the sake of another command.
      if ((await box.info()).status === 'configured') await startBox(box, abort)
      if (options.detach === true) {
        const { id } = await withProgress(() =>
          box.executions.start(file, args, { ...execOptions, signal: abort }),
        )
        process.stdout.write(`${id}\n`)
        return exitCodes.ok
      }
      const execution = await withProgress(() => box.exec(file, args, { ...execOptions, signal: abort }))
      const tty = options.tty === true
      const { exitCode } = await attach(execution, {
        tty,
        signals,
        detachKeys: tty ? options.detachKeys : [],
      })
      return exitCode
    }),
  )
}
