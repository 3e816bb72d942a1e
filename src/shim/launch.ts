import type { ExecRequest, GuestConfiguration } from '../guest/messages.ts'
import type { MachineSpec } from '../vm/machine.ts'
import type { RestartRecord } from './restart-policy.ts'

/** What the runtime tells the shim: all it needs to run one box, once. A line of JSON on descriptor 3. */
export type Launch = {
  readonly boxId: string
  readonly directory: string
  readonly build: string
  /** Nobody's end ends the box; otherwise the hang-up of descriptor 3 does. */
  readonly detach: boolean
  readonly spec: MachineSpec
  readonly qemu: string
  readonly bubblewrap: string
  /** The directory of the boot template. */
  readonly bootTemplate: string
  /** What the first run is restored from, if not from the boot template: its disk is `disk`, in which nothing was changed since. */
  readonly mountedTemplate?: string | undefined
  readonly image: string
  readonly disk: string
  readonly diskBase: string
  readonly guest: GuestConfiguration
  /** The home's database, in which the shim records what becomes of the box. */
  readonly database: string
  /** The box's lock, which goes with an ephemeral box. */
  readonly lock: string
  readonly name: string | undefined
  readonly policy: Policy
  /** What was counted before this start, when a policy and not a user asked for it. */
  readonly restarts?: RestartRecord | undefined
  /** The box's main process: its exit ends the box. */
  readonly main?: MainProcess | undefined
}

/** What the shim does with the box by itself. */
export type Policy = {
  readonly restart: RestartPolicy
  /** Ends the box when nothing was run in it, and nothing passed to or from its clients, for this long. */
  readonly idleTimeoutMs?: number | undefined
  /** Ends the box when it has run for this long. */
  readonly maxDurationMs?: number | undefined
  /** Removes the box when it ends. */
  readonly ephemeral: boolean
  readonly health?: HealthPolicy | undefined
}

export type RestartPolicy = {
  readonly condition: 'no' | 'on-failure' | 'always' | 'unless-stopped'
  /** With `on-failure`: restarts in a row before the box is given up. Default: no bound. */
  readonly maxRetries?: number | undefined
}

export type HealthPolicy = {
  readonly probe:
    | { readonly kind: 'command'; readonly request: ExecRequest }
    | { readonly kind: 'port'; readonly port: number }
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Failures in a row that make a box unhealthy. */
  readonly retries: number
  /** Failures this soon after the start do not count. */
  readonly startPeriodMs: number
}

export type MainProcess = {
  readonly request: ExecRequest
  /** Start it when the first client has attached to it, so that this one misses no byte. */
  readonly waitForAttach: boolean
  /** What asks it to end before the others; undefined: SIGTERM to all at once. */
  readonly stopSignal?: number | undefined
}

/** Files of a box's directory that the shim makes. */
export const shimFiles = {
  socket: 'shim.sock',
  pid: 'shim.pid',
  exit: 'exit.json',
  console: 'console.log',
  log: 'shim.log',
  output: 'output.log',
} as const
