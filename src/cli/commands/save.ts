import { Writable } from 'node:stream'
import { type Command, Option } from 'commander'
import { formatBytes } from '../bytes.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'
import { whileRead } from '../reader.ts'
import { withProgress, withSignals } from '../start-box.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & {
  readonly output?: string
  readonly format: 'oci-archive' | 'docker-archive'
  readonly quiet?: boolean
}

export function addSave(program: Command, context: Context): void {
  const command = program
    .command('save')
    .summary('write images into an archive')
    .description(
      'Writes images into one archive, which coffer load, docker load, podman load and skopeo read.',
    )
    .argument('<IMAGE...>')
    .option(
      '-o, --output <FILE>',
      'the file to write, whole or not at all; - for standard output (the default)',
    )
    .addOption(
      new Option(
        '--format <FORMAT>',
        'oci-archive keeps digests; docker-archive is for docker load before version 25',
      )
        .choices(['oci-archive', 'docker-archive'])
        .default('oci-archive'),
    )
    .option('-q, --quiet', 'show no progress')
    .action(async (names: string[]) => {
      context.exitCode = await save(names, command.optsWithGlobals<Options>())
    })
  addExamples(command, 'coffer save -o app.tar app:1', 'coffer save app:1 | ssh other coffer load')
}

async function save(names: readonly string[], options: Options): Promise<number> {
  const { output = '-', format } = options
  if (output === '-' && process.stdout.isTTY === true)
    throw new UsageError(
      'an archive is not written to a terminal',
      'name a file with -o, or pass it on with | or >',
    )
  return withSignals((_signals, signal) =>
    withRuntime(options, async runtime => {
      const write = (target: string | Writable, gone: AbortSignal): Promise<void> =>
        withProgress(
          onProgress => {
            let bytes = 0
            const onBytes = (count: number): void => {
              bytes += count
              onProgress({ step: `saving ${names.join(' ')}`, detail: formatBytes(bytes) })
            }
            return runtime.images.save(names, target, {
              format,
              signal: AbortSignal.any([signal, gone]),
              onBytes,
            })
          },
          options.quiet === true ? 'none' : 'long',
        )
      if (output === '-') return whileRead(gone => write(standardOutput(), gone))
      await write(output, signal)
      return exitCodes.ok
    }),
  )
}

/** Standard output stays open when the archive ends: others write to it as well. */
function standardOutput(): Writable {
  return new Writable({
    write: (chunk, _encoding, done) => {
      process.stdout.write(chunk, done)
    },
  })
}
