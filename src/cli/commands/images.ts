import type { Command } from 'commander'
import type { ImageInfo } from '../../image/describe.ts'
import { formatAge } from '../age.ts'
import { formatBytes } from '../bytes.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatJson } from '../json.ts'
import { shortDigest } from '../progress.ts'
import { printableLine } from '../style.ts'
import { formatTable } from '../table.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & {
  readonly digests?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
}

export function addImages(program: Command, context: Context): void {
  const command = program
    .command('images')
    .summary('list images')
    .description(
      'Lists the images of this home, last used first, a line for each name. SIZE is that of the layers as they are stored, UNPACKED what ' +
        'boxes run from; images may share both. The built-in busybox is listed once it was used.',
    )
    .option('--digests', 'whole digests in place of ids')
    .option('-q, --quiet', 'print ids only')
    .option('--json', 'print a JSON array')
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      if (options.json === true && options.quiet === true)
        throw new UsageError('--json and --quiet exclude each other')
      const images = await withRuntime(options, runtime => runtime.images.list())
      process.stdout.write(formatImages(images, options))
      context.exitCode = exitCodes.ok
    })
}

type Row = { readonly name: string; readonly image: ImageInfo }

export function formatImages(
  images: readonly ImageInfo[],
  { digests, json, quiet }: Options,
  now = new Date(),
): string {
  if (json === true) return formatJson(images)
  const id = (digest: string): string => (digests === true ? digest : shortDigest(digest))
  if (quiet === true)
    return images.flatMap(({ digest }) => (digest === undefined ? [] : [`${id(digest)}\n`])).join('')
  return formatTable<Row>(
    [
      { title: 'NAME', value: ({ name }) => printableLine(name) },
      {
        title: digests === true ? 'DIGEST' : 'ID',
        value: ({ image }) => (image.digest === undefined ? 'built in' : id(image.digest)),
      },
      {
        title: 'CREATED',
        value: ({ image }) => (image.createdAt === undefined ? '' : formatAge(image.createdAt, now)),
      },
      { title: 'SIZE', value: ({ image }) => (image.isBuiltIn ? '' : formatBytes(image.bytes)) },
      { title: 'UNPACKED', value: ({ image }) => formatBytes(image.rootfsBytes) },
      { title: 'BOXES', value: ({ image }) => (image.isBuiltIn ? '' : String(image.boxes.length)) },
    ],
    images.flatMap(image => namesOf(image).map(name => ({ name, image }))),
  )
}

function namesOf({ names }: ImageInfo): readonly string[] {
  return names.length === 0 ? ['<none>'] : names
}
