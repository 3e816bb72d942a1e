import { type Command, InvalidArgumentError, Option } from 'commander'
import type { BoxOptions, HealthCheckOptions, RestartOption } from '../runtime/options.ts'
import { parseDurationMs, parseTimerMs } from './duration.ts'
import { parseSignal } from './signal-option.ts'
import { parseCount, parsePort } from './size.ts'
import { UsageError } from './usage-error.ts'

/** What a box does by itself: the flags for it that `run` and `create` have in common. */
export type PolicyShape = {
  readonly restart?: RestartOption
  readonly idleTimeout?: number
  readonly maxDuration?: number
  readonly healthCmd?: string
  readonly healthPort?: number
  readonly healthInterval?: number
  readonly healthTimeout?: number
  readonly healthRetries?: number
  readonly healthStartPeriod?: number
  /** `--no-healthcheck` makes it false. */
  readonly healthcheck?: boolean
  readonly stopSignal?: number
}

const heading = 'What the box does by itself:'

const options = [
  new Option(
    '--restart <POLICY>',
    'start again when it ends: no, on-failure[:N], always, unless-stopped',
  ).argParser(parseRestartPolicy),
  new Option('--idle-timeout <TIME>', 'stop when nothing was done in it for this long: 10m').argParser(
    parseTimerMs,
  ),
  new Option('--max-duration <TIME>', 'stop when it has run for this long: 2h').argParser(parseTimerMs),
  new Option('--health-cmd <TEXT>', 'healthy is when this shell command succeeds in it'),
  new Option('--health-port <PORT>', 'healthy is when this TCP port in it accepts connections').argParser(
    parsePort,
  ),
  new Option('--health-interval <TIME>', 'between two checks (30s)').argParser(parseTimerMs),
  new Option('--health-timeout <TIME>', 'a check that takes longer has failed (10s)').argParser(parseTimerMs),
  new Option('--health-retries <COUNT>', 'failures in a row that make it unhealthy (3)').argParser(
    parseCount,
  ),
  new Option('--health-start-period <TIME>', 'failures this soon do not count (0)').argParser(
    parseDurationMs,
  ),
  new Option('--no-healthcheck', "no health check, not even the image's"),
  new Option(
    '--stop-signal <SIGNAL>',
    "what asks the main process to end, such as INT, in place of the image's",
  ).argParser(parseSignal),
]

export function addPolicyOptions(command: Command): Command {
  for (const option of options) command.addOption(option.helpGroup(heading))
  return command
}

export function policyOptions(shape: PolicyShape): BoxOptions {
  const healthCheck = healthCheckOptions(shape)
  return {
    ...(shape.restart === undefined ? {} : { restart: shape.restart }),
    ...(shape.idleTimeout === undefined ? {} : { idleTimeoutMs: shape.idleTimeout }),
    ...(shape.maxDuration === undefined ? {} : { maxDurationMs: shape.maxDuration }),
    ...(healthCheck === undefined ? {} : { healthCheck }),
    ...(shape.stopSignal === undefined ? {} : { stopSignal: shape.stopSignal }),
  }
}

function healthCheckOptions(shape: PolicyShape): HealthCheckOptions | 'none' | undefined {
  const { healthCmd: command, healthPort: port } = shape
  if (command !== undefined && port !== undefined)
    throw new UsageError('--health-cmd and --health-port exclude each other')
  const times = {
    ...(shape.healthInterval === undefined ? {} : { intervalMs: shape.healthInterval }),
    ...(shape.healthTimeout === undefined ? {} : { timeoutMs: shape.healthTimeout }),
    ...(shape.healthRetries === undefined ? {} : { retries: shape.healthRetries }),
    ...(shape.healthStartPeriod === undefined ? {} : { startPeriodMs: shape.healthStartPeriod }),
  }
  if (shape.healthcheck === false) {
    if (command !== undefined || port !== undefined || Object.keys(times).length > 0)
      throw new UsageError('--no-healthcheck excludes every other --health-…')
    return 'none'
  }
  if (command !== undefined) return { command, ...times }
  if (port !== undefined) return { port, ...times }
  if (Object.keys(times).length > 0)
    throw new UsageError('there is no health check to set up', 'name one with --health-cmd or --health-port')
  return undefined
}

export function parseRestartPolicy(text: string): RestartOption {
  if (/^(no|on-failure(:\d{1,9})?|always|unless-stopped)$/.test(text)) return text as RestartOption
  throw new InvalidArgumentError('Expected no, on-failure, on-failure:N, always or unless-stopped.')
}
