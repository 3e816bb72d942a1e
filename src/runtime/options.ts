import type { PullPolicy } from '../image/images.ts'
import type { ImageProgressListener } from '../image/progress.ts'
import type { BoxStatus } from '../state/box-status.ts'
import type { EventDetails, EventType } from '../state/events.ts'

export type { BoxStatus, EventType }

/** What a user hands to the library, before it is parsed. Every number carries its unit in its name. */

export type BoxOptions = {
  /**
   * An image as Docker names it, the id of one that is here, or `docker-daemon:NAME`, one of Docker or Podman of this machine. The first start pulls it if need be; from then on the box keeps to that image.
   * Default `busybox`, which is built in and works offline; the one of Docker Hub is `docker.io/library/busybox`, or `busybox` with a version.
   */
  readonly image?: string
  /** Whether the first start asks the registry, or the daemon: for what is not here (`missing`, the default), `always` or `never`. */
  readonly pull?: PullPolicy
  /** Only `linux/amd64` runs: anything else is refused. */
  readonly platform?: string
  /**
   * The box's main process, appended to the entrypoint: its exit stops the box. `image`: what the image says. Without it the box idles until
   * stopped.
   */
  readonly command?: readonly string[] | 'image'
  readonly entrypoint?: readonly string[]
  /** The main process has a terminal, of this size (24 rows and 80 columns) until a client says otherwise. Default false. */
  readonly tty?: boolean | { readonly rows: number; readonly cols: number }
  readonly env?: Readonly<Record<string, string>>
  /** Default: the image's, else `/`. */
  readonly workdir?: string
  /** `name|uid[:group|gid]`. Blank or absent: the image's, else root. */
  readonly user?: string
  /** Default: the box's name, else its id. */
  readonly hostname?: string
  /** Default 1. */
  readonly cpus?: number
  /** Default 512, at least 64. */
  readonly memoryMib?: number
  /** Size of the writable disk, sparse on the host. Default 10240. */
  readonly diskMib?: number
  readonly labels?: Readonly<Record<string, string>>
  /** The box outlives the process that started it. Default false. */
  readonly detach?: boolean
  /** The box is removed when it stops. Default false. Excludes `restart`. */
  readonly ephemeral?: boolean
  /**
   * When a run that nobody stopped is followed by another one: never (`no`, the default), after a failure (`on-failure`, at most `:N` times
   * in a row), or always (`always`, `unless-stopped`). The waits between grow from 100 ms to a minute.
   */
  readonly restart?: RestartOption
  /** The box stops when nothing was run in it, and nothing passed to or from its clients, for this long. */
  readonly idleTimeoutMs?: number
  /** The box stops when it has run for this long. */
  readonly maxDurationMs?: number
  /** How the shim finds out whether the box does what it should. Default: as the image says; `none`: it does not. */
  readonly healthCheck?: HealthCheckOptions | 'none'
  /**
   * What asks the main process to end, `SIGINT` or a number; what else runs in the box is asked when it has. Default: the image's, else
   * SIGTERM to all at once.
   */
  readonly stopSignal?: number | string
}

export type RestartOption = 'no' | 'on-failure' | `on-failure:${number}` | 'always' | 'unless-stopped'

/** Either `command` or `port`. */
export type HealthCheckOptions = {
  /** Healthy is exit code 0. A text is run by `sh -c`. */
  readonly command?: string | readonly string[]
  /** Healthy is a TCP connection accepted on this port of the box's loopback address. */
  readonly port?: number
  /** From the end of one check to the begin of the next. Default 30 000. */
  readonly intervalMs?: number
  /** A check that takes longer has failed. Default 10 000. */
  readonly timeoutMs?: number
  /** Failures in a row that make the box unhealthy. Default 3. */
  readonly retries?: number
  /** Failures this soon after the start do not count. Default 0. */
  readonly startPeriodMs?: number
}

export type ExecOptions = {
  readonly cwd?: string
  /** Merged over the box's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** `name|uid[:group|gid]`, looked up in the box's own passwd and group files. Blank or absent: the box's user. */
  readonly user?: string
  /** A pseudo-terminal, of 24 rows and 80 columns unless a size is given. */
  readonly tty?: boolean | { readonly rows: number; readonly cols: number }
  /**
   * Default `null`: end of file at once. `pipe` gives `execution.stdin`. Anything else is the whole input; text that may be
   * one of these two words is passed as bytes.
   */
  readonly stdin?: 'null' | 'pipe' | Uint8Array | string
  /** At expiry the whole process tree is killed and the result says `timedOut`. */
  readonly timeoutMs?: number
  readonly rlimits?: Readonly<Record<string, Rlimit>>
  /** Aborting kills the process tree; `wait` then rejects with code `aborted`. */
  readonly signal?: AbortSignal
  /** The execution runs on when its client goes; `box.executions` finds it again. Default false. */
  readonly detach?: boolean
  /** Bound of collected output, per stream. Exceeding it kills the process tree. Default 64 MiB. */
  readonly maxOutputBytes?: number
  /** Told what the start of the box does, if it has to be started. */
  readonly onProgress?: StepListener
}

/** One value for both, or each; `'unlimited'` is allowed for both. */
export type Rlimit =
  | number
  | 'unlimited'
  | { readonly soft: number | 'unlimited'; readonly hard: number | 'unlimited' }

/** How a process ended. A non-zero exit is a result, not an error. */
export type Result = {
  /** 0…255, or −N when signal N ended the process. */
  readonly exitCode: number
  readonly ok: boolean
  /** `SIGKILL` … when a signal ended the process. */
  readonly signal: string | undefined
  readonly timedOut: boolean
  readonly outOfMemory: boolean
  /** As measured inside the box, from fork to exit. */
  readonly durationMs: number
}

export type BoxInfo = {
  readonly id: string
  readonly name: string | undefined
  readonly status: BoxStatus
  readonly image: string
  /** The manifest it was first started from; undefined before that, and for the built-in image. */
  readonly imageDigest: string | undefined
  readonly cpus: number
  readonly memoryMib: number
  readonly diskMib: number
  readonly hostname: string
  /** Its own over those of its image, which are known from the first start on. */
  readonly labels: Readonly<Record<string, string>>
  /** As its image declares them, `80/tcp`, from the first start on. */
  readonly exposedPorts: readonly string[]
  readonly detach: boolean
  readonly ephemeral: boolean
  readonly createdAt: Date
  /** Of the present or the last run. */
  readonly startedAt: Date | undefined
  readonly stoppedAt: Date | undefined
  /** Process id of the shim while it lives. */
  readonly pid: number | undefined
  /** Why the box is `failed`, or how its last run ended. */
  readonly reason: string | undefined
  /** What ended its last run, as in `BoxStop`, and with which exit code its main process did. */
  readonly cause: string | undefined
  readonly exitCode: number | undefined
  readonly health: BoxHealth
  readonly restart: BoxRestart
  readonly idleTimeoutMs: number | undefined
  readonly maxDurationMs: number | undefined
  readonly directory: string
}

export type BoxHealth = {
  /** `none`: it has no health check, or does not run. */
  readonly status: 'none' | 'starting' | 'healthy' | 'unhealthy'
  /** In a row. */
  readonly failures: number
  readonly lastCheckAt: Date | undefined
  /** What the last check printed, or why it failed; at most 4 KiB. */
  readonly lastOutput: string | undefined
}

export type BoxRestart = {
  readonly policy: RestartOption
  /** Restarts in a row that nobody asked for; a start by a user begins anew. */
  readonly count: number
  /** What ended the run before the last restart. */
  readonly cause: string | undefined
  readonly lastAt: Date | undefined
  /** When the box starts again, while it waits for that. */
  readonly nextAt: Date | undefined
}

/** Something that happened to a box. */
export type BoxEvent = {
  /** Where to go on after this event: `runtime.events({ after: cursor })`. */
  readonly cursor: number
  readonly at: Date
  readonly boxId: string
  readonly boxName: string | undefined
  readonly type: EventType | 'missed'
  /**
   * `stopped` and `failed` have `cause`, `reason` and the main process's `exitCode`; `exec_started` and `exec_exited` the `execution`; `health`
   * the `status`; `missed` the `count` of events that are not kept any more.
   */
  readonly details: EventDetails
}

export type EventOptions = {
  /** The cursor of the last event that was seen; 0 for all that are kept. Default: only what happens from now on. */
  readonly after?: number
  /** Waits for more. Default true. */
  readonly follow?: boolean
  /** Only of the box of this id or name. */
  readonly box?: string
  readonly signal?: AbortSignal
}

/** How the last run of a box ended. */
export type BoxStop = {
  /** Of its main process. */
  readonly exitCode: number | undefined
  /** One of `stopped`, `killed`, `orphaned`, `idle`, `max_duration`, `main_exited`, `guest_shutdown`, `vm_died` … */
  readonly cause: string | undefined
  /** The same in words. */
  readonly reason: string
}

export type WaitOptions = {
  /** Default: no bound. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** What is done now, in words; while an image is pulled, `layer` says in numbers how far each of its layers is. */
export type StepListener = ImageProgressListener

/** An execution as `box.executions` tells of it. The main process has the id `main`. */
export type ExecutionInfo = {
  readonly id: string
  readonly command: readonly string[]
  /** Undefined until it runs. */
  readonly pid: number | undefined
  readonly startedAt: Date
  /** Whether a client reads its output now; otherwise the end of it is kept for the next one. */
  readonly attached: boolean
  /** Whether it has a terminal. */
  readonly tty: boolean
  /** How it ended. Ended executions are kept for 5 minutes if they were detached. */
  readonly result: Result | undefined
}

/** A process inside a box, as `box.top` tells of it. */
export type ProcessInfo = {
  readonly pid: number
  readonly ppid: number
  readonly uid: number
  /** One letter, as in proc(5). */
  readonly state: string
  readonly rssKib: number
  readonly cpuMs: number
  readonly command: string
}

export type LogOptions = {
  /** Waits for more until the box stops. Default false. */
  readonly follow?: boolean
  /** Only the last lines. */
  readonly lines?: number
  readonly since?: Date
  /** Default both. */
  readonly streams?: readonly ('stdout' | 'stderr')[]
  readonly signal?: AbortSignal
}

/** A piece of what the main process wrote: bytes as it wrote them, not lines. */
export type LogEntry = { readonly at: Date; readonly stream: 'stdout' | 'stderr'; readonly data: Buffer }

export type StartOptions = {
  readonly signal?: AbortSignal
  readonly onProgress?: StepListener
}
