import type { Command } from 'commander'
import type { Box } from '../../runtime/box.ts'
import type { Execution } from '../../runtime/execution.ts'
import { attach } from '../attach.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import type { DetachKeys } from '../detach-keys.ts'
import { detachKeysOption } from '../process-options.ts'
import { withProgress, withSignals } from '../start-box.ts'
import { fitTerminal } from '../terminal.ts'

type Options = GlobalOptions & {
  readonly detachKeys: DetachKeys
  readonly stdin: boolean
  readonly signals: boolean
}

export function addAttach(program: Command, context: Context): void {
  const command = program
    .command('attach')
    .summary('join a command that runs in a box')
    .description(
      "Joins the box's main process, and starts the box if it does not run, or joins another execution. Prints what it " +
        'wrote while nobody was there (the last 256 KiB), then what it writes. The exit code is that of the command.',
    )
    .argument('<BOX>')
    .argument('[EXECUTION]')
    .addOption(detachKeysOption())
    .option('--no-stdin', 'do not pass standard input on')
    .option('--no-signals', 'a signal leaves the command rather than being passed on')
    .action(async (reference: string, id: string | undefined) => {
      context.exitCode = await join(reference, id, command.optsWithGlobals<Options>())
    })
}

async function join(reference: string, id: string | undefined, options: Options): Promise<number> {
  return withSignals((signals, abort) =>
    withRuntime(options, async runtime => {
      const box = await runtime.get(reference)
      const execution =
        id === undefined || id === 'main'
          ? await withProgress(onProgress => box.attach({ onProgress, signal: abort }))
          : await box.executions.attach(id)
      const hasTerminal = await isOnTerminal(box, execution)
      // Without a terminal here, its bytes are what there is to pass on.
      const tty = hasTerminal && process.stdin.isTTY === true
      if (tty) await fitTerminal(execution)
      const { exitCode } = await attach(execution, {
        tty,
        signals,
        detachKeys: tty ? options.detachKeys : [],
        input: options.stdin,
        joined: true,
        keepSignals: !options.signals,
      })
      return exitCode
    }),
  )
}

async function isOnTerminal(box: Box, execution: Execution): Promise<boolean> {
  const { tty } = await box.executions.get(execution.id)
  return tty
}
