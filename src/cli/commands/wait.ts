import type { Command } from 'commander'
import { CofferError } from '../../errors.ts'
import type { Box } from '../../runtime/box.ts'
import type { WaitOptions } from '../../runtime/options.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { parseTimerMs } from '../duration.ts'
import { exitCodeOfResult, exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'
import { reportError } from '../report-error.ts'
import { parsePort } from '../size.ts'
import { printable } from '../style.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & {
  readonly healthy?: boolean
  readonly port?: number
  readonly log?: string
  readonly timeout?: number
}

export function addWait(program: Command, context: Context): void {
  const command = program
    .command('wait')
    .summary('wait until boxes have stopped, or are ready')
    .description(
      'Waits until every box has stopped and prints the exit codes of their main processes, a line for each box, in the ' +
        'order in which they were named; - for a box that had none. A box that does not run is not waited for.\n' +
        'With --healthy, --port or --log it waits for that instead and prints the names of the boxes, or the lines found; ' +
        'a box that stops first is a failure.',
    )
    .argument('<BOX...>')
    .option('--healthy', 'until the health check of the box succeeds')
    .option('--port <PORT>', 'until something in the box accepts TCP connections on this port', parsePort)
    .option('--log <TEXT>', 'until the main process has written a line that contains this')
    .option('--timeout <TIME>', 'give up after this time: 10, 500ms, 2m', parseTimerMs)
    .action(async (references: string[]) => {
      const options = command.optsWithGlobals<Options>()
      checkConditions(options)
      context.exitCode = await withRuntime(options, async runtime => {
        const waits = references.map(async reference =>
          waitFor(await runtime.get(reference), reference, options),
        )
        let exitCode: number = exitCodes.ok
        // All are waited for at once; only the lines come in order.
        for (const ended of await Promise.allSettled(waits)) {
          if (ended.status === 'fulfilled') process.stdout.write(`${ended.value}\n`)
          else exitCode = reportError(ended.reason, { debug: options.debug === true })
        }
        return exitCode
      })
    })
  addExamples(command, 'coffer wait web', 'coffer wait --healthy --timeout 1m web')
}

function checkConditions({ healthy, port, log }: Options): void {
  const given = Object.entries({ '--healthy': healthy, '--port': port, '--log': log }).filter(
    ([, value]) => value !== undefined,
  )
  if (given.length > 1)
    throw new UsageError(`${given.map(([flag]) => flag).join(' and ')} exclude each other`)
}

/** What to print when what is waited for has come. */
async function waitFor(
  box: Box,
  reference: string,
  { healthy, port, log, timeout }: Options,
): Promise<string> {
  const options: WaitOptions = timeout === undefined ? {} : { timeoutMs: timeout }
  if (healthy === true) {
    await box.waitUntilHealthy(options)
    return reference
  }
  if (port !== undefined) {
    await box.waitForPort(port, options)
    return reference
  }
  if (log !== undefined) return shown(await box.waitForLog(log, options))
  const { exitCode } = await within(timeout, reference, box.wait())
  return formatExitCode(exitCode)
}

// The box chose these bytes.
function shown(line: string): string {
  return process.stdout.isTTY === true ? printable(line) : line
}

async function within<Value>(
  timeoutMs: number | undefined,
  reference: string,
  work: Promise<Value>,
): Promise<Value> {
  if (timeoutMs === undefined) return work
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new CofferError('timeout', `waited ${timeoutMs} ms for the end of box ${reference}`)),
    timeoutMs,
  )
  // Given up, it ends when the runtime closes.
  work.catch(() => {})
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** As the command line would have exited: 128 + N for signal N. */
function formatExitCode(exitCode: number | undefined): string {
  return exitCode === undefined ? '-' : String(exitCodeOfResult({ exitCode }))
}
