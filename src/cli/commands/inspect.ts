import { type Command, Option } from 'commander'
import { CofferError, isCofferError } from '../../errors.ts'
import type { ImageDetails } from '../../image/describe.ts'
import type { BoxInfo } from '../../runtime/options.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { formatJson } from '../json.ts'

type Options = GlobalOptions & { readonly type?: 'box' | 'image' }

export function addInspect(program: Command, context: Context): void {
  const command = program
    .command('inspect')
    .summary('show everything about boxes and images, as JSON')
    .description(
      'Prints a JSON array with everything known about the boxes and images, in the order in which they were named. A name that could ' +
        'be either is the box.',
    )
    .argument('<NAME...>')
    .addOption(new Option('--type <TYPE>', 'look for one kind only').choices(['box', 'image']))
    .action(async (references: string[]) => {
      const options = command.optsWithGlobals<Options>()
      const found = await withRuntime(options, runtime =>
        Promise.all(references.map(reference => inspect(runtime, reference, options.type))),
      )
      process.stdout.write(formatJson(found))
      context.exitCode = 0
    })
}

async function inspect(
  runtime: Runtime,
  reference: string,
  type: Options['type'],
): Promise<BoxInfo | ImageDetails> {
  if (type === 'image') return runtime.images.inspect(reference)
  const box = await unlessNotFound(runtime.get(reference))
  if (box !== undefined) return box.info()
  if (type === 'box') return (await runtime.get(reference)).info()
  const image = await unlessNotFound(runtime.images.inspect(reference), !idPattern.test(reference))
  if (image !== undefined) return image
  throw new CofferError('not_found', `there is no box and no image ${reference}`, {
    hint: 'coffer ps -a lists all boxes, coffer images all images.',
    details: { name: reference },
  })
}

/** The beginning of an id of an image: it may be that of several, which is worth saying. */
const idPattern = /^(sha256:)?[0-9a-f]{12,64}$/

/** Undefined for what is not there. `isAnyName`: what is no name of an image is not there either. */
async function unlessNotFound<Value>(finding: Promise<Value>, isAnyName = false): Promise<Value | undefined> {
  try {
    return await finding
  } catch (error) {
    if (isCofferError(error, 'not_found')) return undefined
    if (isAnyName && isCofferError(error, 'invalid_argument')) return undefined
    throw error
  }
}
