import type { Command } from 'commander'
import type { ExecutionInfo } from '../../runtime/options.ts'
import { formatAge } from '../age.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodeOfResult } from '../exit-codes.ts'
import { formatJson } from '../json.ts'
import { printable } from '../style.ts'
import { formatTable } from '../table.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & { readonly json?: boolean; readonly quiet?: boolean }

export function addExecutions(program: Command, context: Context): void {
  const command = program
    .command('executions')
    .summary('list the commands that run in a box')
    .description(
      'Lists the executions of a box: its main process, what exec runs, and for 5 minutes what was detached and has ended.',
    )
    .argument('<BOX>')
    .option('-q, --quiet', 'print ids only')
    .option('--json', 'print a JSON array')
    .action(async (reference: string) => {
      const options = command.optsWithGlobals<Options>()
      if (options.json === true && options.quiet === true)
        throw new UsageError('--json and --quiet exclude each other')
      const executions = await withRuntime(options, async runtime =>
        (await runtime.get(reference)).executions.list(),
      )
      process.stdout.write(formatExecutions(executions, options))
      context.exitCode = 0
    })
}

export function formatExecutions(
  executions: readonly ExecutionInfo[],
  { json, quiet }: Options,
  now = new Date(),
): string {
  if (json === true) return formatJson(executions)
  if (quiet === true) return executions.map(({ id }) => `${id}\n`).join('')
  return formatTable(
    [
      { title: 'ID', value: ({ id }) => id },
      { title: 'PID', value: ({ pid }) => String(pid ?? '') },
      { title: 'STATUS', value: statusOf },
      { title: 'TTY', value: ({ tty }) => (tty ? 'yes' : 'no') },
      { title: 'STARTED', value: ({ startedAt }) => formatAge(startedAt, now) },
      { title: 'COMMAND', value: ({ command }) => printable(command.join(' ')).replaceAll('\n', ' ') },
    ],
    executions,
  )
}

function statusOf({ result, attached, pid }: ExecutionInfo): string {
  if (result === undefined) {
    if (pid === undefined) return 'starting'
    return attached ? 'attached' : 'running'
  }
  if (result.timedOut) return 'timed out'
  if (result.outOfMemory) return 'out of memory'
  return result.signal === undefined ? `exited (${exitCodeOfResult(result)})` : result.signal
}
