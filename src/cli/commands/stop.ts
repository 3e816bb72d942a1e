import type { Command } from 'commander'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { parseDurationMs } from '../duration.ts'
import { forEachBox } from '../each-box.ts'

type Options = GlobalOptions & { readonly timeout?: number }

export function addStop(program: Command, context: Context): void {
  const command = program
    .command('stop')
    .summary('stop boxes, keeping their disks')
    .description('Stops boxes: everything in them gets SIGTERM, then SIGKILL. Prints what was stopped.')
    .argument('<BOX...>')
    .option('--timeout <TIME>', 'how long to wait before killing: 10, 500ms', parseDurationMs)
    .action(async (references: string[]) => {
      const options = command.optsWithGlobals<Options>()
      const stopOptions = options.timeout === undefined ? {} : { timeoutMs: options.timeout }
      context.exitCode = await withRuntime(options, runtime =>
        forEachBox(references, options, async reference => (await runtime.get(reference)).stop(stopOptions)),
      )
    })
}
