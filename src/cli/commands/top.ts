import type { Command } from 'commander'
import type { ProcessInfo } from '../../runtime/options.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { formatJson } from '../json.ts'
import { printable } from '../style.ts'
import { formatTable } from '../table.ts'

type Options = GlobalOptions & { readonly json?: boolean }

export function addTop(program: Command, context: Context): void {
  const command = program
    .command('top')
    .summary('list the processes in a box')
    .description('Lists the processes that run in a box: their ids there, and the number of their user.')
    .argument('<BOX>')
    .option('--json', 'print a JSON array')
    .action(async (reference: string) => {
      const options = command.optsWithGlobals<Options>()
      const processes = await withRuntime(options, async runtime => (await runtime.get(reference)).top())
      process.stdout.write(options.json === true ? formatJson(processes) : formatProcesses(processes))
      context.exitCode = 0
    })
}

export function formatProcesses(processes: readonly ProcessInfo[]): string {
  return formatTable(
    [
      { title: 'PID', value: ({ pid }) => String(pid) },
      { title: 'USER', value: ({ uid }) => String(uid) },
      { title: 'STATE', value: ({ state }) => printable(state) },
      { title: 'MEMORY', value: ({ rssKib }) => `${(rssKib / 1024).toFixed(1)} MiB` },
      { title: 'CPU TIME', value: ({ cpuMs }) => `${(cpuMs / 1000).toFixed(2)} s` },
      // The guest's processes choose their names.
      { title: 'COMMAND', value: ({ command }) => onOneLine(command) },
    ],
    processes,
  )
}

function onOneLine(text: string): string {
  return printable(text).replaceAll('\n', ' ')
}
