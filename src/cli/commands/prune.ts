import type { Command } from 'commander'
import { isCofferError } from '../../errors.ts'
import type { BoxInfo } from '../../runtime/options.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { isAtWork } from '../box-status.ts'
import { canAsk, confirm } from '../confirm.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { addExamples } from '../help-examples.ts'
import { printable } from '../style.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & { readonly force?: boolean; readonly json?: boolean }
type Removed = { readonly id: string; readonly name: string | undefined }

export function addPrune(program: Command, context: Context): void {
  const command = program
    .command('prune')
    .summary('remove all boxes that do not run')
    .description(
      'Removes all boxes that do not run, and everything on their disks, after asking on the terminal. Prints what was removed.',
    )
    .option('-f, --force', 'do not ask; needed where there is no terminal')
    .option('--json', 'print a JSON array')
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      if (options.force !== true && !canAsk())
        throw new UsageError('there is no terminal to ask on', 'coffer prune --force does not ask')
      process.stdout.write(formatRemoved(await prune(options), options))
      context.exitCode = 0
    })
  addExamples(command, 'coffer prune --force')
}

export function formatRemoved(removed: readonly Removed[], { json }: Options): string {
  if (json === true) return `${JSON.stringify(removed, undefined, 2)}\n`
  return removed.map(({ id, name }) => `${name ?? id}\n`).join('')
}

async function prune(options: Options): Promise<readonly Removed[]> {
  return withRuntime(options, async runtime => {
    const boxes = (await runtime.list()).filter(box => !isAtWork(box))
    if (boxes.length === 0) return []
    if (options.force !== true && !(await confirm(questionOf(boxes)))) return []
    const removed: Removed[] = []
    // Those that were asked about, and not what has stopped since.
    for (const { id, name } of boxes) if (await remove(runtime, id)) removed.push({ id, name })
    return removed
  })
}

/** False when it was started, or removed, in the meantime. */
async function remove(runtime: Runtime, id: string): Promise<boolean> {
  try {
    await runtime.remove(id)
    return true
  } catch (error) {
    if (isCofferError(error, 'invalid_state') || isCofferError(error, 'not_found')) return false
    throw error
  }
}

function questionOf(boxes: readonly BoxInfo[]): string {
  const names = boxes.map(({ id, name }) => name ?? id).join(', ')
  const what = boxes.length === 1 ? 'this box and its disk' : `these ${boxes.length} boxes and their disks`
  return printable(`${names}\nRemove ${what}?`)
}
