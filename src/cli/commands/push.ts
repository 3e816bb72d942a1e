import type { Command } from 'commander'
import type { PushProgress } from '../../image/save/push-image.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'
import type { PartProgress } from '../parts.ts'
import { shortDigest } from '../progress.ts'
import { withProgress, withSignals } from '../start-box.ts'
import { pinnedName } from './pull.ts'

type Options = GlobalOptions & { readonly quiet?: boolean }

export function addPush(program: Command, context: Context): void {
  const command = program
    .command('push')
    .summary('put an image into a registry')
    .description(
      'Puts an image into a registry, under the name TARGET or its own, with the digest it has here: what the registry lacks of it. ' +
        'Prints NAME@DIGEST.',
    )
    .argument('<IMAGE>')
    .argument('[TARGET]')
    .option('-q, --quiet', 'show no progress, and print the digest only')
    .action(async (image: string, target: string | undefined) => {
      context.exitCode = await push(image, target ?? image, command.optsWithGlobals<Options>())
    })
  addExamples(command, 'coffer push app registry.example:5000/team/app:1')
}

async function push(image: string, target: string, options: Options): Promise<number> {
  const isQuiet = options.quiet === true
  return withSignals((_signals, signal) =>
    withRuntime(options, async runtime => {
      const pushed = await withProgress(
        (onProgress, progress) => {
          onProgress({ step: `pushing image ${image} as ${target}` })
          return runtime.images.push(image, target, {
            signal,
            onProgress: each => progress.onPart(partOf(each)),
          })
        },
        isQuiet ? 'none' : 'all',
      )
      process.stdout.write(`${isQuiet ? pushed.digest : pinnedName(target, pushed)}\n`)
      return exitCodes.ok
    }),
  )
}

const phases = { uploading: 'uploading', uploaded: 'done', existed: 'existed', mounted: 'mounted' } as const

function partOf({ digest, bytes, totalBytes, phase }: PushProgress): PartProgress {
  return {
    key: digest,
    label: shortDigest(digest),
    phase: phases[phase],
    bytes,
    totalBytes,
    isActive: phase === 'uploading',
    isDone: phase !== 'uploading',
  }
}
