import { type Command, InvalidArgumentError, Option } from 'commander'
import type { PullPolicy } from '../image/images.ts'
import type { BoxOptions } from '../runtime/options.ts'
import { addPolicyOptions, type PolicyShape, policyOptions } from './policy-options.ts'
import { parseCount, parseSizeMib } from './size.ts'

/** What a box is made of: the flags that `run` and `create` have in common. */
export type BoxShape = PolicyShape & {
  readonly name?: string
  readonly hostname?: string
  readonly cpus?: number
  readonly memory?: number
  readonly disk?: number
  readonly entrypoint?: string
  readonly label?: Readonly<Record<string, string>>
  readonly pull?: PullPolicy
  readonly platform?: string
}

export function addBoxOptions(command: Command): Command {
  command
    .option('--name <NAME>', 'name of the box, unique in its home')
    .option('--hostname <NAME>', 'host name inside the box')
    .option('--cpus <COUNT>', 'virtual processors', parseCount)
    .option('--memory <SIZE>', 'memory: 512, 512m, 1g; MiB without a unit', parseSizeMib)
    .option('--disk <SIZE>', 'size of the writable disk; MiB without a unit', parseSizeMib)
    .option('--entrypoint <FILE>', "what CMD is appended to, instead of the image's; '' for nothing")
    .option('-l, --label <KEY[=VALUE]>', 'a label of the box, for ps --filter; repeatable', collectLabel)
    .addOption(
      new Option(
        '--pull <POLICY>',
        'when the registry is asked for IMAGE: if it is not here (missing, the default), always or never',
      ).choices(['missing', 'always', 'never']),
    )
    .option('--platform <PLATFORM>', 'of IMAGE: linux/amd64, which is all that boxes run')
  return addPolicyOptions(command)
}

export function boxOptions(shape: BoxShape, image: string | undefined): BoxOptions {
  return {
    ...(image === undefined ? {} : { image }),
    ...(shape.hostname === undefined ? {} : { hostname: shape.hostname }),
    ...(shape.cpus === undefined ? {} : { cpus: shape.cpus }),
    ...(shape.memory === undefined ? {} : { memoryMib: shape.memory }),
    ...(shape.disk === undefined ? {} : { diskMib: shape.disk }),
    ...(shape.label === undefined ? {} : { labels: shape.label }),
    ...(shape.pull === undefined ? {} : { pull: shape.pull }),
    ...(shape.platform === undefined ? {} : { platform: shape.platform }),
    ...policyOptions(shape),
  }
}

/** What runs in the box as its main process: neither given, none does. `image` asks for what the image runs. */
export function mainProcess(
  { entrypoint }: BoxShape,
  command: readonly string[] | 'image',
): Pick<BoxOptions, 'command' | 'entrypoint'> {
  return {
    ...(entrypoint === undefined ? {} : { entrypoint: entrypoint === '' ? [] : [entrypoint] }),
    ...(command.length === 0 ? {} : { command }),
  }
}

type Labels = Readonly<Record<string, string>>

/** A key alone is a label without a value, as in Docker. */
export function collectLabel(text: string, labels: Labels = {}): Labels {
  const equals = text.indexOf('=')
  const key = equals === -1 ? text : text.slice(0, equals)
  if (key === '') throw new InvalidArgumentError('Expected KEY or KEY=VALUE.')
  return { ...labels, [key]: equals === -1 ? '' : text.slice(equals + 1) }
}
