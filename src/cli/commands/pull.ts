import { type Command, Option } from 'commander'
import type { ImageInfo } from '../../image/describe.ts'
import type { ImagePullOptions } from '../../runtime/images.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { forEachName } from '../each-box.ts'
import { addExamples } from '../help-examples.ts'
import { withProgress, withSignals } from '../start-box.ts'

type Options = GlobalOptions & {
  readonly platform?: string
  readonly policy?: 'always' | 'missing'
  readonly quiet?: boolean
}

export function addPull(program: Command, context: Context): void {
  const command = program
    .command('pull')
    .summary('fetch images from registries')
    .description(
      'Brings images in from their registries, or up to date, and prepares them for boxes. Prints each as NAME@DIGEST, which means ' +
        'this very image from then on. Ctrl-C ends it; the next pull goes on where it was.\n' +
        'docker-daemon:NAME is an image of Docker or Podman on this machine.',
    )
    .argument('<IMAGE...>')
    .addOption(
      new Option('--policy <POLICY>', 'ask the registry again for what is here (always), or not (missing)')
        .choices(['always', 'missing'])
        .default('always'),
    )
    .option('--platform <PLATFORM>', 'linux/amd64, which is all that boxes run')
    .option('-q, --quiet', 'show no progress, and print the digests only')
    .action(async (names: string[]) => {
      context.exitCode = await pull(names, command.optsWithGlobals<Options>())
    })
  addExamples(
    command,
    'coffer pull debian:12',
    'coffer pull ghcr.io/owner/app:1.2 registry.example:5000/team/app',
  )
}

async function pull(names: readonly string[], options: Options): Promise<number> {
  return withSignals((_signals, signal) =>
    withRuntime(options, async runtime => {
      try {
        return await forEachName(names, options, name => pullOne(runtime, name, options, signal), signal)
      } catch (error) {
        if (signal.aborted && options.quiet !== true)
          process.stderr.write(
            'coffer: given up; what has been fetched stays, and the next pull goes on from there\n',
          )
        throw error
      }
    }),
  )
}

async function pullOne(
  runtime: Runtime,
  name: string,
  { platform, policy, quiet }: Options,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const options: ImagePullOptions = {
    signal,
    ...(policy === undefined ? {} : { policy }),
    ...(platform === undefined ? {} : { platform }),
  }
  const info = await withProgress(
    onProgress => runtime.images.pull(name, { ...options, onProgress }),
    quiet === true ? 'none' : 'all',
  )
  if (quiet === true) return [digestOf(info)]
  const { isDaemonName } = await import('../../image/daemon-name.ts')
  // The daemon need not have it any more when the name is used.
  return [pinnedName(isDaemonName(name) ? (info.names[0] ?? '') : name, info)]
}

/** What means this very image wherever it is pulled. */
export function pinnedName(name: string, { digest }: Pick<ImageInfo, 'digest'>): string {
  if (digest === undefined || name.includes('@')) return name
  // An id needs no name.
  return name === '' || /^(sha256:)?[0-9a-f]{64}$/.test(name) ? digest : `${name}@${digest}`
}

/** The built-in image has a name and no digest. */
function digestOf({ digest, names }: ImageInfo): string {
  return digest ?? names[0] ?? ''
}
