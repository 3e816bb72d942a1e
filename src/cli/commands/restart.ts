import type { Command } from 'commander'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { withProgress, withSignals } from '../start-box.ts'
import { startEach } from '../start-each.ts'
import { type StopOptions, stopOptions, stopTimeoutOption } from '../stop-option.ts'

type Options = GlobalOptions & StopOptions

export function addRestart(program: Command, context: Context): void {
  const command = program
    .command('restart')
    .summary('stop boxes and start them again')
    .description('Stops boxes that run and starts them, their main processes too. Prints what was started.')
    .argument('<BOX...>')
    .addOption(stopTimeoutOption())
    .action(async (references: string[]) => {
      const options = command.optsWithGlobals<Options>()
      context.exitCode = await withSignals((signals, signal) =>
        withRuntime(options, runtime =>
          startEach(runtime, references, { ...options, signals, signal }, box =>
            withProgress(onProgress => box.restart({ onProgress, signal, ...stopOptions(options) })),
          ),
        ),
      )
    })
}
