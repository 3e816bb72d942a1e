import type { Command } from 'commander'
import type { ConfigChanges } from '../../image/commit/config-changes.ts'
import { collectLabel } from '../box-options.ts'
import { formatBytes } from '../bytes.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { isDiskFile } from '../disk-file.ts'
import { readEnvironment } from '../environment.ts'
import { exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'
import { collect } from '../process-options.ts'
import { standardInput } from '../standard-input.ts'
import { withProgress, withSignals } from '../start-box.ts'

type Shape = {
  readonly cmd?: string
  readonly entrypoint?: string
  readonly env?: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly label?: Readonly<Record<string, string>>
}

type Options = GlobalOptions & Shape & { readonly message?: string; readonly quiet?: boolean }

export function addImportRootfs(program: Command, context: Context): void {
  const command = program
    .command('import-rootfs')
    .summary('make an image of a root file system')
    .description(
      'Makes an image of a root file system: a directory of this machine, a tar (plain, gzip or zstd), a disk with an EROFS or ext4 file ' +
        'system and nothing else (raw or qcow2); or - for a tar on standard input. Prints its digest.',
    )
    .argument('<PATH>')
    .argument('<NAME>')
    .option('--cmd <COMMAND>', 'what boxes run by default: a JSON list of words, or a line for /bin/sh -c')
    .option('--entrypoint <COMMAND>', 'what a command is appended to; in the same forms')
    .option('-e, --env <KEY[=VALUE]>', 'a variable for everything that runs; repeatable', collect)
    .option('-w, --workdir <DIR>', 'where it runs')
    .option('-u, --user <USER>', 'as whom: NAME|UID[:GROUP|GID]')
    .option('-l, --label <KEY[=VALUE]>', 'a label of the image; repeatable', collectLabel)
    .option('-m, --message <TEXT>', 'for the history')
    .option('-q, --quiet', 'show no progress')
    .action(async (path: string, name: string) => {
      context.exitCode = await importRootfs(path, name, command.optsWithGlobals<Options>())
    })
  addExamples(
    command,
    'coffer import-rootfs --cmd /bin/bash ./rootfs own/debian:12',
    'docker export web | coffer import-rootfs - web:copy',
  )
}

async function importRootfs(path: string, name: string, options: Options): Promise<number> {
  const source = path === '-' ? standardInput('a root file system') : path
  const { message, quiet } = options
  const config = await configOf(options)
  const isDisk = path !== '-' && (await isDiskFile(path))
  return withSignals((_signals, signal) =>
    withRuntime(options, async runtime => {
      const { digest } = await withProgress(
        onProgress => {
          let bytes = 0
          const importing = {
            config,
            signal,
            onBytes: (count: number) => {
              bytes += count
              onProgress({ step: `importing ${path === '-' ? name : path}`, detail: formatBytes(bytes) })
            },
            ...(message === undefined ? {} : { message }),
          }
          return isDisk
            ? runtime.images.importDisk(path, name, importing)
            : runtime.images.importRootfs(source, name, importing)
        },
        quiet === true ? 'none' : 'long',
      )
      process.stdout.write(`${digest}\n`)
      return exitCodes.ok
    }),
  )
}

/** Commands in the forms that a Dockerfile has for them. */
async function configOf(shape: Shape): Promise<ConfigChanges> {
  const { parseChanges } = await import('../../image/commit/parse-changes.ts')
  const { env, workdir, user, label } = shape
  return {
    ...parseChanges([
      ...(shape.entrypoint === undefined ? [] : [`ENTRYPOINT ${shape.entrypoint}`]),
      ...(shape.cmd === undefined ? [] : [`CMD ${shape.cmd}`]),
    ]),
    ...(env === undefined ? {} : { env: readEnvironment(env) }),
    ...(workdir === undefined ? {} : { workdir }),
    ...(user === undefined ? {} : { user }),
    ...(label === undefined ? {} : { labels: label }),
  }
}
