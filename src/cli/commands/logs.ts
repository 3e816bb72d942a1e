import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { CofferError } from '../../errors.ts'
import type { Box } from '../../runtime/box.ts'
import type { LogOptions } from '../../runtime/options.ts'
import { printConsole } from '../console-log.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { LogPrinter } from '../log-printer.ts'
import { whileRead } from '../reader.ts'
import { parseSince } from '../since.ts'
import { parseCount } from '../size.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & {
  readonly follow?: boolean
  readonly lines?: number
  readonly since?: Date
  readonly timestamps?: boolean
  readonly stream?: 'stdout' | 'stderr'
  readonly console?: boolean
}

export function addLogs(program: Command, context: Context): void {
  const command = program
    .command('logs')
    .summary("show what a box's main process wrote")
    .description(
      "Prints what the box's main process wrote, also in former runs and also after the box stopped: the last 40 MiB. " +
        'With --console: what its kernel wrote in the present or last run.',
    )
    .argument('<BOX>')
    .option('-f, --follow', 'go on until the box stops')
    .option('-n, --lines <COUNT>', 'only the last lines', parseCount)
    .option('--since <TIME>', 'only from then on: 10m ago, or 2030-01-31T12:00:00Z', text => parseSince(text))
    .option('-t, --timestamps', 'begin each line with the time at which it was written')
    .addOption(new Option('--stream <STREAM>', 'only this stream').choices(['stdout', 'stderr']))
    .option('--console', "the console of the box's kernel instead")
    .action(async (reference: string) => {
      const options = command.optsWithGlobals<Options>()
      checkConsole(options)
      context.exitCode = await withRuntime(options, async runtime => {
        const box = await runtime.get(reference)
        const { directory } = await box.info()
        if (options.console !== true) {
          if (!existsSync(join(directory, 'output.log'))) throw noLog(reference)
          return printLog(box, options)
        }
        await printConsole(directory, options.lines, reference)
        return exitCodes.ok
      })
    })
}

// The file is there from the first start of a main process on.
function noLog(reference: string): CofferError {
  return new CofferError('not_found', `box ${reference} has no log: no main process has run in it`, {
    hint: `coffer create IMAGE CMD gives a box one; for the console of the kernel: coffer logs --console ${reference}`,
  })
}

function checkConsole({ console, follow, since, timestamps, stream }: Options): void {
  if (console !== true) return
  const others = { follow, since, timestamps, stream }
  for (const [name, value] of Object.entries(others))
    if (value !== undefined) throw new UsageError(`--console and --${name} exclude each other`)
}

async function printLog(box: Box, { timestamps, stream, follow, lines, since }: Options): Promise<number> {
  return whileRead(async broken => {
    const printer = new LogPrinter({ timestamps: timestamps === true, broken })
    const options: LogOptions = {
      signal: broken,
      follow: follow === true,
      ...(lines === undefined ? {} : { lines }),
      ...(since === undefined ? {} : { since }),
      ...(stream === undefined ? {} : { streams: [stream] }),
    }
    for await (const entry of box.logs(options)) {
      await printer.print(entry)
      if (broken.aborted) break
    }
  })
}
