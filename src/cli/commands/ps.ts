import type { Command } from 'commander'
import type { BoxInfo, BoxStatus } from '../../runtime/options.ts'
import { formatAge } from '../age.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { formatTable } from '../table.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & { readonly all?: boolean; readonly json?: boolean; readonly quiet?: boolean }

export function addPs(program: Command, context: Context): void {
  const command = program
    .command('ps')
    .summary('list boxes')
    .description('Lists the boxes that run, newest first.')
    .option('-a, --all', 'list those that do not run, too')
    .option('-q, --quiet', 'print ids only')
    .option('--json', 'print a JSON array')
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      if (options.json === true && options.quiet === true)
        throw new UsageError('--json and --quiet exclude each other')
      const boxes = await withRuntime(options, runtime => runtime.list({ all: options.all === true }))
      process.stdout.write(formatBoxes(boxes, options))
      context.exitCode = 0
    })
}

export function formatBoxes(boxes: readonly BoxInfo[], { json, quiet }: Options, now = new Date()): string {
  if (json === true) return `${JSON.stringify(boxes, undefined, 2)}\n`
  if (quiet === true) return boxes.map(({ id }) => `${id}\n`).join('')
  return formatTable(
    [
      { title: 'ID', value: box => box.id },
      { title: 'NAME', value: box => box.name ?? '' },
      { title: 'IMAGE', value: box => box.image },
      { title: 'STATUS', value: box => formatStatus(box, now) },
      { title: 'CPUS', value: box => String(box.cpus) },
      { title: 'MEMORY', value: box => `${box.memoryMib} MiB` },
      { title: 'CREATED', value: box => formatAge(box.createdAt, now) },
    ],
    boxes,
  )
}

function formatStatus(box: BoxInfo, now: Date): string {
  const since = sinceOf(box.status, box)
  return since === undefined ? box.status : `${box.status} (${formatAge(since, now)})`
}

function sinceOf(status: BoxStatus, { startedAt, stoppedAt }: BoxInfo): Date | undefined {
  if (status === 'running') return startedAt
  return status === 'stopped' || status === 'failed' ? stoppedAt : undefined
}
