import { once } from 'node:events'
import type { Command } from 'commander'
import type { EventOptions } from '../../runtime/options.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { formatEvent } from '../event-line.ts'
import { type EventStart, parseEventStart } from '../event-start.ts'
import { exitCodeOfSignal, exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'
import { whileRead } from '../reader.ts'
import { withSignals } from '../start-box.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & {
  readonly json?: boolean
  readonly since?: EventStart
  readonly all?: boolean
  readonly box?: string
  readonly follow: boolean
}

export function addEvents(program: Command, context: Context): void {
  const command = program
    .command('events')
    .summary('show what happens to boxes')
    .description(
      'Prints a line for everything that happens to the boxes of this home, whoever makes it happen, until it is ended by Ctrl-C. ' +
        'The last 10,000 events are kept.',
    )
    .option('--all', 'begin with the oldest event that is kept')
    .option(
      '--since <CURSOR|TIME>',
      'begin behind the event with this cursor, or at a time: 10m ago, or 2030-01-31T12:00:00Z',
      text => parseEventStart(text),
    )
    .option('--box <BOX>', 'only of the box with this name or id')
    .option('--no-follow', 'end with the newest event')
    .option('--json', 'print each event as a JSON object on a line of its own')
    .action(async () => {
      context.exitCode = await events(command.optsWithGlobals<Options>())
    })
  addExamples(command, 'coffer events --box web', 'coffer events --no-follow --since 1h --json')
}

async function events(options: Options): Promise<number> {
  if (options.all === true && options.since !== undefined)
    throw new UsageError('--all and --since exclude each other')
  return withSignals(async (signals, ended) => {
    const exitCode = await withRuntime(options, runtime =>
      whileRead(gone => print(runtime, options, { ended, gone })),
    )
    // Ctrl-C is how one ends it; any other signal is one that ended it.
    if (signals.first === undefined || exitCode !== exitCodes.ok) return exitCode
    return signals.first === 'SIGINT' ? exitCodes.ok : exitCodeOfSignal(signals.first)
  })
}

async function print(
  runtime: Runtime,
  options: Options,
  { ended, gone }: { readonly ended: AbortSignal; readonly gone: AbortSignal },
): Promise<void> {
  const signal = AbortSignal.any([ended, gone])
  const { since } = options
  const from = since !== undefined && 'since' in since ? since.since : undefined
  for await (const event of runtime.events({ ...rangeOf(options), signal })) {
    if (from !== undefined && event.at < from) continue
    const line = options.json === true ? `${JSON.stringify(event)}\n` : formatEvent(event)
    if (!process.stdout.write(line)) await once(process.stdout, 'drain', { signal }).catch(() => {})
    if (signal.aborted) break
  }
}

function rangeOf({ all, since, follow, box }: Options): EventOptions {
  const only = box === undefined ? {} : { box }
  if (since !== undefined && 'cursor' in since) return { after: since.cursor, follow, ...only }
  // Without --all and --since, --no-follow would print nothing.
  const fromStart = all === true || since !== undefined || !follow
  return { ...(fromStart ? { after: 0 } : {}), follow, ...only }
}
