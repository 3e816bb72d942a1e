import type { Command } from 'commander'
import type { ImageStep } from '../../image/describe.ts'
import { formatAge } from '../age.ts'
import { formatBytes } from '../bytes.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatJson } from '../json.ts'
import { printableLine } from '../style.ts'
import { formatTable } from '../table.ts'

type Options = GlobalOptions & { readonly json?: boolean; readonly trunc: boolean }

export function addHistory(program: Command, context: Context): void {
  const command = program
    .command('history')
    .summary('show how an image was made')
    .description(
      'Lists the steps an image was made in, the newest first, with the size of the layer that each made.',
    )
    .argument('<IMAGE>')
    .option('--no-trunc', 'show what made a step in full')
    .option('--json', 'print a JSON array')
    .action(async (image: string) => {
      const options = command.optsWithGlobals<Options>()
      const steps = await withRuntime(options, runtime => runtime.images.history(image))
      process.stdout.write(formatHistory(steps, options))
      context.exitCode = exitCodes.ok
    })
}

const createdByWidth = 60

export function formatHistory(
  steps: readonly ImageStep[],
  { json, trunc }: Pick<Options, 'json' | 'trunc'>,
  now = new Date(),
): string {
  if (json === true) return formatJson(steps)
  const shown = (text: string): string => {
    const line = printableLine(text)
    return trunc && line.length > createdByWidth ? `${line.slice(0, createdByWidth - 1)}…` : line
  }
  return formatTable(
    [
      { title: 'CREATED', value: ({ createdAt }) => ageOf(createdAt, now) },
      { title: 'SIZE', value: ({ bytes }) => formatBytes(bytes) },
      { title: 'CREATED BY', value: ({ createdBy }) => shown(createdBy) },
      { title: 'COMMENT', value: ({ comment }) => shown(comment) },
    ],
    steps,
  )
}

/** Images say what they like here. */
function ageOf(text: string | undefined, now: Date): string {
  const date = new Date(text ?? '')
  return Number.isNaN(date.getTime()) ? '' : formatAge(date, now)
}
