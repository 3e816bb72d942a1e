import type { ExecRequest } from '../guest/messages.ts'
import { maxControlBytes } from '../guest/protocol.ts'
import { type BoxConfig, checkDirectory, checkUser } from './box-config.ts'
import type { ExecOptions } from './options.ts'
import { parseRlimits } from './rlimits.ts'
import {
  checkBoolean,
  checkEnvironment,
  checkInteger,
  checkKeys,
  checkObject,
  checkText,
  checkTextList,
  invalid,
} from './validate.ts'

/** What an image says about how its commands run. */
export type ImageDefaults = {
  readonly env: Readonly<Record<string, string>>
  readonly workdir: string | undefined
  readonly user: string | undefined
}

const known: readonly (keyof ExecOptions)[] = [
  'cwd',
  'env',
  'user',
  'tty',
  'stdin',
  'timeoutMs',
  'rlimits',
  'signal',
  'detach',
  'maxOutputBytes',
  'onProgress',
]

export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const defaultSize = { rows: 24, cols: 80 } as const

/** Joins command, options, box and image into what the agent is asked to run. Throws `invalid_argument` naming the option. */
export function execRequest(
  command: string,
  args: readonly string[],
  options: ExecOptions,
  box: BoxConfig,
  image: ImageDefaults,
): ExecRequest {
  checkKeys('options', checkObject('options', options), known)
  const argv = [
    checkText('command', command, maxControlBytes),
    ...checkTextList('args', args, maxControlBytes),
  ]
  if (command === '') throw invalid('command', 'is empty')
  if (options.detach !== undefined) checkBoolean('detach', options.detach)
  if (options.maxOutputBytes !== undefined)
    checkInteger('maxOutputBytes', options.maxOutputBytes, 0, Number.MAX_SAFE_INTEGER)
  const tty = terminalSize(options.tty)
  const user = checkUser('user', options.user) ?? box.user ?? image.user
  const cwd = options.cwd === undefined ? (box.workdir ?? image.workdir) : checkDirectory('cwd', options.cwd)
  const request: ExecRequest = {
    argv,
    env: environment(options, box, image, tty !== undefined),
    stdin: checkStdin(options.stdin) !== 'null',
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    ...(tty === undefined ? {} : { tty }),
    ...(options.timeoutMs === undefined
      ? {}
      : { timeoutMs: checkInteger('timeoutMs', options.timeoutMs, 1, 0x7fffffff) }),
    ...(options.rlimits === undefined ? {} : { rlimits: parseRlimits(options.rlimits) }),
  }
  checkSize(request)
  return request
}

function environment(
  options: ExecOptions,
  box: BoxConfig,
  image: ImageDefaults,
  isTerminal: boolean,
): string[] {
  const own = options.env === undefined ? {} : checkEnvironment('env', options.env, maxControlBytes)
  const terminal = isTerminal ? { TERM: 'xterm-256color' } : {}
  const merged = { PATH: defaultPath, HOSTNAME: box.hostname, ...terminal, ...image.env, ...box.env, ...own }
  return Object.entries(merged).map(([name, value]) => `${name}=${value}`)
}

/** Throws `invalid_argument` naming the part that is wrong. */
export function checkTerminal(tty: NonNullable<ExecOptions['tty']>): NonNullable<ExecOptions['tty']> {
  if (typeof tty === 'boolean') return tty
  checkObject('tty', tty)
  return {
    rows: checkInteger('tty.rows', tty.rows, 1, 0xffff),
    cols: checkInteger('tty.cols', tty.cols, 1, 0xffff),
  }
}

function terminalSize(tty: ExecOptions['tty']): { rows: number; cols: number } | undefined {
  const checked = checkTerminal(tty ?? false)
  return typeof checked === 'boolean' ? (checked ? defaultSize : undefined) : checked
}

function checkStdin(stdin: ExecOptions['stdin']): 'null' | 'some' {
  if (stdin === undefined || stdin === 'null') return 'null'
  if (typeof stdin === 'string' || stdin instanceof Uint8Array) return 'some'
  throw invalid('stdin', "must be 'null', 'pipe', text or bytes")
}

function checkSize(request: ExecRequest): void {
  const strings = [...request.argv, ...request.env]
  // Linux counts the terminating NUL and a pointer for each.
  const bytes = strings.reduce((sum, item) => sum + Buffer.byteLength(item) + 9, 0)
  const limit = 2 * 1024 * 1024
  if (bytes > limit)
    throw invalid(
      'command',
      `and environment have ${bytes} bytes, Linux takes ${limit}`,
      'Pass large data on standard input.',
    )
}
