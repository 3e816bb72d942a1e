import type { Command } from 'commander'
import { isCofferError } from '../../errors.ts'
import type { BoxInfo } from '../../runtime/options.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { canAsk } from '../ask.ts'
import { isAtWork } from '../box-status.ts'
import { confirm } from '../confirm.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { addExamples } from '../help-examples.ts'
import { formatJson } from '../json.ts'
import { pruneImages } from '../prune-images.ts'
import { printable } from '../style.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & {
  readonly force?: boolean
  readonly json?: boolean
  readonly images?: boolean
  readonly all?: boolean
}
type Removed = { readonly id: string; readonly name: string | undefined }

export function addPrune(program: Command, context: Context): void {
  const command = program
    .command('prune')
    .summary('remove all boxes that do not run, or images that are not used')
    .description(
      'Removes all boxes that do not run, and everything on their disks, after asking on the terminal. Prints what was removed.\n' +
        'With --images it leaves boxes alone and removes images that lost their names, interrupted downloads and what no image needs; ' +
        'with --images -a every image that no box uses.',
    )
    .option('--images', 'images in place of boxes')
    .option('-a, --all', 'with --images: also images with names, unless a box uses them')
    .option('-f, --force', 'do not ask; needed where there is no terminal')
    .option('--json', 'print JSON')
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      if (options.all === true && options.images !== true)
        throw new UsageError('-a needs --images', 'of boxes all go that do not run')
      if (options.force !== true && !canAsk())
        throw new UsageError('there is no terminal to ask on', 'coffer prune --force does not ask')
      process.stdout.write(
        options.images === true ? await pruneImages(options) : formatRemoved(await prune(options), options),
      )
      context.exitCode = 0
    })
  addExamples(command, 'coffer prune --force', 'coffer prune --images -a')
}

export function formatRemoved(removed: readonly Removed[], { json }: Options): string {
  if (json === true) return formatJson(removed)
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
