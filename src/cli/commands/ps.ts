import type { Command } from 'commander'
import type { BoxInfo } from '../../runtime/options.ts'
import { formatAge } from '../age.ts'
import { type BoxFilter, collectFilter, fits } from '../box-filter.ts'
import { describeStatus, isAtWork } from '../box-status.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { addExamples } from '../help-examples.ts'
import { formatJson } from '../json.ts'
import { formatTable } from '../table.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & {
  readonly all?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
  readonly filter?: BoxFilter
}

export function addPs(program: Command, context: Context): void {
  const command = program
    .command('ps')
    .summary('list boxes')
    .description('Lists the boxes that run, and those about to be started again, newest first.')
    .option('-a, --all', 'list those that do not run, too')
    .option(
      '-f, --filter <KIND=VALUE>',
      'only those with status=STATUS, label=KEY[=VALUE] or TEXT in their name (name=TEXT); repeatable',
      collectFilter,
    )
    .option('-q, --quiet', 'print ids only')
    .option('--json', 'print a JSON array')
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      if (options.json === true && options.quiet === true)
        throw new UsageError('--json and --quiet exclude each other')
      const boxes = await withRuntime(options, runtime => runtime.list())
      process.stdout.write(
        formatBoxes(
          boxes.filter(box => isWanted(box, options)),
          options,
        ),
      )
      context.exitCode = 0
    })
  addExamples(command, 'coffer ps -a --filter status=stopped --filter label=project=web')
}

/** A status that is asked for is shown, whether it is one of a running box or not. */
export function isWanted(box: BoxInfo, { all, filter }: Options): boolean {
  if (filter !== undefined && !fits(box, filter)) return false
  return all === true || (filter !== undefined && filter.statuses.length > 0) || isAtWork(box)
}

export function formatBoxes(boxes: readonly BoxInfo[], { json, quiet }: Options, now = new Date()): string {
  if (json === true) return formatJson(boxes)
  if (quiet === true) return boxes.map(({ id }) => `${id}\n`).join('')
  return formatTable(
    [
      { title: 'ID', value: box => box.id },
      { title: 'NAME', value: box => box.name ?? '' },
      { title: 'IMAGE', value: box => box.image },
      { title: 'STATUS', value: box => describeStatus(box, now) },
      { title: 'CPUS', value: box => String(box.cpus) },
      { title: 'MEMORY', value: box => `${box.memoryMib} MiB` },
      { title: 'CREATED', value: box => formatAge(box.createdAt, now) },
    ],
    boxes,
  )
}
