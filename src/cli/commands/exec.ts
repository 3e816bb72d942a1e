import type { Command } from 'commander'
import { attach } from '../attach.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { addProcessOptions, executionOptions, type ProcessOptions } from '../process-options.ts'
import { withoutSeparator } from '../split-run.ts'
import { startBox, withSignals } from '../start-box.ts'
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
  addProcessOptions(command).action(async () => {
    const [reference = '', ...words] = command.args
    context.exitCode = await exec(reference, withoutSeparator(words), command.optsWithGlobals<Options>())
  })
}

async function exec(reference: string, words: readonly string[], options: Options): Promise<number> {
  const [file, ...args] = words
  if (file === undefined)
    throw new UsageError('no command to run', `for a shell: coffer exec -it ${reference} sh`)
  const execution = executionOptions(options)
  return withSignals((signals, abort) =>
    withRuntime(options, async runtime => {
      const box = await runtime.get(reference)
      await startBox(box, abort)
      return attach(await box.exec(file, args, execution), { tty: options.tty === true, signals })
    }),
  )
}
