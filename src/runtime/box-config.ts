import { randomBytes } from 'node:crypto'
import { availableParallelism, totalmem } from 'node:os'
import { CofferError } from '../errors.ts'
import { maxControlBytes } from '../guest/protocol.ts'
import { checkImageName } from '../image/find.ts'
import { type PullPolicy, pullPolicies } from '../image/images.ts'
import { checkPlatform } from '../image/platform-check.ts'
import type { RestartPolicy } from '../shim/launch.ts'
import { blockDeviceBytes } from '../vm/machine.ts'
import { checkTerminal } from './exec-request.ts'
import type { BoxOptions } from './options.ts'
import { checkDuration, type HealthCheckConfig, parseHealthCheck, parseRestart } from './policy-options.ts'
import { signalNumber } from './signals.ts'
import {
  checkBoolean,
  checkEnvironment,
  checkInteger,
  checkKeys,
  checkObject,
  checkText,
  checkTextList,
  checkTextRecord,
  invalid,
  show,
} from './validate.ts'

/** A box as it was created: options checked, defaults filled in. Stored as JSON in its record and never changed. */
export type BoxConfig = {
  readonly image: string
  readonly pull: PullPolicy
  /** `image`: what the image runs. */
  readonly command: readonly string[] | 'image' | undefined
  readonly entrypoint: readonly string[] | undefined
  /** The main process has a terminal. */
  readonly tty: boolean | { readonly rows: number; readonly cols: number }
  readonly env: Readonly<Record<string, string>>
  readonly workdir: string | undefined
  readonly user: string | undefined
  readonly hostname: string
  readonly machineId: string
  readonly cpus: number
  readonly memoryMib: number
  readonly diskMib: number
  readonly labels: Readonly<Record<string, string>>
  readonly detach: boolean
  readonly ephemeral: boolean
  readonly restart: RestartPolicy
  readonly idleTimeoutMs: number | undefined
  readonly maxDurationMs: number | undefined
  /** `none`: not even the image's. */
  readonly healthCheck: HealthCheckConfig | 'none' | undefined
  /** Asks the main process to end; undefined: the image's, else SIGTERM. */
  readonly stopSignal: number | undefined
}

export const builtInImage = 'busybox'

const defaults = { cpus: 1, memoryMib: 512, diskMib: 10 * 1024 } as const
const leastMemoryMib = 64
const leastDiskMib = 128

const known: readonly (keyof BoxOptions)[] = [
  'image',
  'pull',
  'platform',
  'command',
  'entrypoint',
  'tty',
  'env',
  'workdir',
  'user',
  'hostname',
  'cpus',
  'memoryMib',
  'diskMib',
  'labels',
  'detach',
  'ephemeral',
  'restart',
  'idleTimeoutMs',
  'maxDurationMs',
  'healthCheck',
  'stopSignal',
]

/** Throws `invalid_argument` naming the option. */
export function parseBoxOptions(
  options: BoxOptions,
  identity: { id: string; name: string | undefined },
): BoxConfig {
  checkKeys('options', checkObject('options', options), known)
  const restart = parseRestart(options.restart ?? 'no')
  if (options.ephemeral && restart.condition !== 'no')
    throw invalid('restart', 'and ephemeral exclude each other', 'An ephemeral box is removed when it stops.')
  return {
    image: options.image === undefined ? builtInImage : checkImage(options.image),
    pull: checkPull(options),
    command:
      options.command === undefined || options.command === 'image'
        ? options.command
        : checkTextList('command', options.command, maxControlBytes),
    entrypoint:
      options.entrypoint === undefined
        ? undefined
        : checkTextList('entrypoint', options.entrypoint, maxControlBytes),
    tty: checkTerminal(options.tty ?? false),
    env: options.env === undefined ? {} : checkEnvironment('env', options.env, maxControlBytes),
    workdir: options.workdir === undefined ? undefined : checkDirectory('workdir', options.workdir),
    user: checkUser('user', options.user),
    hostname: options.hostname === undefined ? defaultHostname(identity) : checkHostname(options.hostname),
    machineId: randomBytes(16).toString('hex'),
    cpus: checkInteger('cpus', options.cpus ?? defaults.cpus, 1, availableParallelism()),
    memoryMib: checkMemory(options.memoryMib ?? defaults.memoryMib),
    diskMib: checkInteger(
      'diskMib',
      options.diskMib ?? defaults.diskMib,
      leastDiskMib,
      blockDeviceBytes / 1024 ** 2,
      'MiB',
    ),
    labels: options.labels === undefined ? {} : checkTextRecord('labels', options.labels, 4096),
    detach: checkBoolean('detach', options.detach ?? false),
    ephemeral: checkBoolean('ephemeral', options.ephemeral ?? false),
    restart,
    idleTimeoutMs: checkDuration('idleTimeoutMs', options.idleTimeoutMs),
    maxDurationMs: checkDuration('maxDurationMs', options.maxDurationMs),
    healthCheck:
      options.healthCheck === undefined || options.healthCheck === 'none'
        ? options.healthCheck
        : parseHealthCheck(options.healthCheck),
    stopSignal: options.stopSignal === undefined ? undefined : signalNumber(options.stopSignal),
  }
}

/** Throws `invalid_argument` unless `name` is 1 to 128 letters, digits, `.`, `_`, `-`, beginning with a letter or digit. */
export function checkName(name: string): string {
  if (typeof name === 'string' && /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/.test(name)) return name
  throw invalid(
    'name',
    `${show(name)} is not a box name`,
    "Use 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit.",
  )
}

/** Blank means none. */
export function checkUser(field: string, user: string | undefined): string | undefined {
  if (user === undefined) return undefined
  const trimmed = checkText(field, user, 512).trim()
  if (trimmed === '') return undefined
  if (/^[^:\s]+(:[^:\s]+)?$/.test(trimmed)) return trimmed
  throw invalid(field, `${show(user)} is not of the form name|uid[:group|gid]`)
}

export function checkDirectory(field: string, path: string): string {
  if (!checkText(field, path).startsWith('/'))
    throw invalid(field, `must be an absolute path, not ${show(path)}`)
  return path
}

/** The record's JSON. Throws `database_error` when it is not what `parseBoxOptions` made. */
export function decodeBoxConfig(id: string, json: string): BoxConfig {
  let config: unknown
  try {
    config = JSON.parse(json)
  } catch (cause) {
    throw damaged(id, cause)
  }
  if (typeof config !== 'object' || config === null) throw damaged(id)
  const { image, hostname, machineId, cpus, memoryMib, diskMib } = config as Partial<BoxConfig>
  const texts = [image, hostname, machineId].every(value => typeof value === 'string')
  const numbers = [cpus, memoryMib, diskMib].every(value => Number.isInteger(value))
  if (!texts || !numbers) throw damaged(id)
  const restart = { condition: 'no' }
  const pull = 'missing'
  return {
    pull,
    env: {},
    labels: {},
    tty: false,
    detach: false,
    ephemeral: false,
    restart,
    ...config,
  } as BoxConfig
}

function checkImage(image: unknown): string {
  const name = checkText('image', image, 512)
  if (name.trim() === '') throw invalid('image', 'is empty')
  checkImageName(name)
  return name
}

function checkPull({ pull = 'missing', platform }: BoxOptions): PullPolicy {
  if (platform !== undefined) checkPlatform(checkText('platform', platform))
  if (pullPolicies.includes(pull)) return pull
  throw invalid('pull', `${show(pull)} is no pull policy`, `Use ${pullPolicies.join(', ')}.`)
}

function checkMemory(memoryMib: unknown): number {
  return checkInteger(
    'memoryMib',
    memoryMib,
    leastMemoryMib,
    Math.floor(totalmem() / 1024 ** 2),
    "MiB (the host's memory)",
  )
}

function checkHostname(hostname: unknown): string {
  const name = checkText('hostname', hostname)
  if (/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$/.test(name)) return name
  throw invalid('hostname', `${show(name)} is not a host name`, "Use 1 to 64 letters, digits, '.' and '-'.")
}

function defaultHostname({ id, name }: { id: string; name: string | undefined }): string {
  const cleaned = (name ?? id)
    .replace(/[^a-zA-Z0-9-]/g, '-')
    .slice(0, 63)
    .replace(/-+$/, '')
  return cleaned === '' ? id : cleaned
}

function damaged(id: string, cause?: unknown): CofferError {
  return new CofferError('database_error', `the record of box ${id} is damaged`, {
    hint: `Remove it with: coffer rm --force ${id}`,
    ...(cause === undefined ? {} : { cause }),
  })
}
