import type { ImageConfig } from '../image/config.ts'
import type { HealthPolicy, Policy, RestartPolicy } from '../shim/launch.ts'
import type { BoxConfig } from './box-config.ts'
import { execRequest, type ImageDefaults } from './exec-request.ts'
import type { HealthCheckOptions, RestartOption } from './options.ts'
import { checkInteger, checkKeys, checkObject, checkText, checkTextList, invalid, show } from './validate.ts'

/** Health checks as they are stored: defaults filled in, one kind of probe. */
export type HealthCheckConfig = Omit<HealthPolicy, 'probe'> &
  ({ readonly command: readonly string[] } | { readonly port: number })

// Node's timers take 31 bits.
const longestMs = 0x7fffffff
const longestTimeoutMs = 60_000
const mostRetries = 1000
const defaults = { intervalMs: 30_000, retries: 3 } as const

/** Throws `invalid_argument`. */
export function parseRestart(text: unknown): RestartPolicy {
  const [, condition, retries] =
    /^(no|on-failure|always|unless-stopped)(?::(\d{1,9}))?$/.exec(String(text)) ?? []
  if (condition === undefined || (retries !== undefined && condition !== 'on-failure'))
    throw invalid(
      'restart',
      `${show(text)} is no restart policy`,
      'Use no, on-failure[:N], always or unless-stopped.',
    )
  return {
    condition: condition as RestartPolicy['condition'],
    ...(retries === undefined ? {} : { maxRetries: Number(retries) }),
  }
}

export function formatRestart({ condition, maxRetries }: RestartPolicy): RestartOption {
  return maxRetries === undefined ? condition : `on-failure:${maxRetries}`
}

export function checkDuration(field: string, value: number | undefined): number | undefined {
  return value === undefined ? undefined : checkInteger(field, value, 1, longestMs)
}

const known: readonly (keyof HealthCheckOptions)[] = [
  'command',
  'port',
  'intervalMs',
  'timeoutMs',
  'retries',
  'startPeriodMs',
]

/** Throws `invalid_argument` naming the part that is wrong. */
export function parseHealthCheck(options: HealthCheckOptions): HealthCheckConfig {
  checkKeys('healthCheck', checkObject('healthCheck', options), known)
  const { command, port } = options
  if ((command === undefined) === (port === undefined))
    throw invalid('healthCheck', 'needs either a command or a port')
  const probe =
    command === undefined
      ? { port: checkInteger('healthCheck.port', port, 1, 0xffff) }
      : { command: checkCommand(command) }
  return {
    ...probe,
    intervalMs: checkInteger(
      'healthCheck.intervalMs',
      options.intervalMs ?? defaults.intervalMs,
      1,
      longestMs,
    ),
    timeoutMs: checkInteger('healthCheck.timeoutMs', options.timeoutMs ?? 10_000, 1, longestTimeoutMs),
    retries: checkInteger('healthCheck.retries', options.retries ?? defaults.retries, 1, mostRetries),
    startPeriodMs: checkInteger('healthCheck.startPeriodMs', options.startPeriodMs ?? 0, 0, longestMs),
  }
}

/** What the shim is told about a box's policies. */
export function policyOf(config: BoxConfig, image: ImageDefaults & Pick<ImageConfig, 'healthCheck'>): Policy {
  const { restart, idleTimeoutMs, maxDurationMs, ephemeral } = config
  const healthCheck = healthCheckOf(config, image)
  return {
    restart,
    idleTimeoutMs,
    maxDurationMs,
    ephemeral,
    health: healthCheck && healthPolicy(healthCheck, config, image),
  }
}

/** The box's health check, else its image's. */
export function healthCheckOf(
  { healthCheck }: Pick<BoxConfig, 'healthCheck'>,
  image: Pick<ImageConfig, 'healthCheck'> | undefined,
): HealthCheckConfig | undefined {
  if (healthCheck === 'none') return undefined
  const check = image?.healthCheck
  if (healthCheck !== undefined || check === undefined) return healthCheck
  const { command, startPeriodMs = 0, retries = defaults.retries } = check
  return {
    command,
    intervalMs: Math.min(check.intervalMs ?? defaults.intervalMs, longestMs),
    // Docker's default, not that of boxes: the image was made for it.
    timeoutMs: Math.min(check.timeoutMs ?? 30_000, longestTimeoutMs),
    retries: Math.min(retries, mostRetries),
    startPeriodMs: Math.min(startPeriodMs, longestMs),
  }
}

function healthPolicy(check: HealthCheckConfig, config: BoxConfig, image: ImageDefaults): HealthPolicy {
  const { intervalMs, timeoutMs, retries, startPeriodMs } = check
  const times = { intervalMs, timeoutMs, retries, startPeriodMs }
  if ('port' in check) return { probe: { kind: 'port', port: check.port }, ...times }
  const [program = '', ...args] = check.command
  return { probe: { kind: 'command', request: execRequest(program, args, {}, config, image) }, ...times }
}

function checkCommand(command: string | readonly string[]): readonly string[] {
  const words =
    typeof command === 'string'
      ? ['sh', '-c', checkText('healthCheck.command', command, 64 * 1024)]
      : checkTextList('healthCheck.command', command, 64 * 1024)
  if (words.length === 0 || command === '') throw invalid('healthCheck.command', 'is empty')
  return words
}
