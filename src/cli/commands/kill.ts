import { type Command, Option } from 'commander'
import { CofferError, isCofferError } from '../../errors.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { parseSignal } from '../signal-option.ts'

type Options = GlobalOptions & { readonly signal: number }

export function addKill(program: Command, context: Context): void {
  const command = program
    .command('kill')
    .summary('send a signal to a command in a box')
    .description(
      "Sends a signal to the box's main process, or to another execution, and to its process group.",
    )
    .argument('<BOX>')
    .argument('[EXECUTION]')
    .addOption(
      new Option('-s, --signal <SIGNAL>', 'name or number')
        .argParser(parseSignal)
        .default(parseSignal('KILL'), 'KILL'),
    )
    .action(async (reference: string, id: string | undefined) => {
      const options = command.optsWithGlobals<Options>()
      await withRuntime(options, async runtime => {
        const box = await runtime.get(reference)
        await box.executions.kill(id ?? 'main', options.signal).catch((error: unknown) => {
          if (id === undefined && isCofferError(error, 'not_found')) throw noMainProcess(reference, error)
          throw error
        })
      })
      context.exitCode = 0
    })
}

function noMainProcess(reference: string, cause: unknown): CofferError {
  return new CofferError('not_found', `box ${reference} has no main process`, {
    hint: `coffer executions ${reference} lists what runs in it; coffer stop ${reference} ends the box.`,
    cause,
  })
}
