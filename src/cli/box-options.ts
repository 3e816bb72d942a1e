import type { Command } from 'commander'
import type { BoxOptions } from '../runtime/options.ts'
import { parseCount, parseSizeMib } from './size.ts'

/** What a box is made of: the flags that `run` and `create` have in common. */
export type BoxShape = {
  readonly name?: string
  readonly hostname?: string
  readonly cpus?: number
  readonly memory?: number
  readonly disk?: number
  readonly entrypoint?: string
}

export function addBoxOptions(command: Command): Command {
  return command
    .option('--name <NAME>', 'name of the box, unique in its home')
    .option('--hostname <NAME>', 'host name inside the box')
    .option('--cpus <COUNT>', 'virtual processors', parseCount)
    .option('--memory <SIZE>', 'memory: 512, 512m, 1g; MiB without a unit', parseSizeMib)
    .option('--disk <SIZE>', 'size of the writable disk; MiB without a unit', parseSizeMib)
    .option('--entrypoint <FILE>', "what CMD is appended to, instead of the image's; '' for nothing")
}

export function boxOptions(shape: BoxShape, image: string | undefined): BoxOptions {
  return {
    ...(image === undefined ? {} : { image }),
    ...(shape.hostname === undefined ? {} : { hostname: shape.hostname }),
    ...(shape.cpus === undefined ? {} : { cpus: shape.cpus }),
    ...(shape.memory === undefined ? {} : { memoryMib: shape.memory }),
    ...(shape.disk === undefined ? {} : { diskMib: shape.disk }),
  }
}

/** What runs in the box as its main process: neither given, none does. */
export function mainProcess(
  { entrypoint }: BoxShape,
  command: readonly string[],
): Pick<BoxOptions, 'command' | 'entrypoint'> {
  return {
    ...(entrypoint === undefined ? {} : { entrypoint: entrypoint === '' ? [] : [entrypoint] }),
    ...(command.length === 0 ? {} : { command }),
  }
}
