import type { ImageInfo } from '../image/describe.ts'
import type { PrunedImages } from '../image/prune.ts'
import { formatBytes } from './bytes.ts'
import { confirm } from './confirm.ts'
import { type GlobalOptions, withRuntime } from './context.ts'
import { formatJson } from './json.ts'
import { withProgress } from './start-box.ts'
import { printable } from './style.ts'

type Options = GlobalOptions & { readonly force?: boolean; readonly json?: boolean; readonly all?: boolean }

/** Removes images that are not used, after asking. Returns what to print. */
export async function pruneImages(options: Options): Promise<string> {
  return withRuntime(options, async runtime => {
    const all = options.all === true
    if (options.force !== true && !(await confirm(questionOf(await runtime.images.list(), all))))
      return formatPruned({ removed: [], freedBytes: 0 }, options)
    // It waits for pulls under way.
    const pruned = await withProgress(async onProgress => {
      onProgress({ step: 'waiting for pulls under way' })
      return runtime.images.prune({ all })
    })
    return formatPruned(pruned, options)
  })
}

export function formatPruned(pruned: PrunedImages, { json }: Pick<Options, 'json'>): string {
  if (json === true) return formatJson(pruned)
  const { removed, freedBytes } = pruned
  return [...removed, `freed ${formatBytes(freedBytes)}`].map(line => `${line}\n`).join('')
}

export function questionOf(images: readonly ImageInfo[], all: boolean): string {
  const going = images.filter(
    ({ names, boxes, isBuiltIn }) => !isBuiltIn && boxes.length === 0 && (all || names.length === 0),
  )
  const labels = going.map(({ names, digest }) => (names.length === 0 ? (digest ?? '') : names.join(', ')))
  const what =
    going.length === 0
      ? 'interrupted downloads, and what no image needs'
      : `${going.length === 1 ? 'this image' : `these ${going.length} images`}, interrupted downloads, and what no image needs`
  return printable([...labels, `Remove ${what}?`].join('\n'))
}
