/** What a user hands to the library, before it is parsed. Every number carries its unit in its name. */

export type BoxOptions = {
  /** Name of an image. Default `busybox`, which is built in and works offline. */
  readonly image?: string
  /** The box's main process, appended to the entrypoint: its exit stops the box. Without it the box idles until stopped. */
  readonly command?: readonly string[]
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
  /** The box is removed when it stops. Default false. */
  readonly ephemeral?: boolean
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

export type BoxStatus = 'configured' | 'running' | 'paused' | 'stopping' | 'stopped' | 'failed' | 'unknown'

export type BoxInfo = {
  readonly id: string
  readonly name: string | undefined
  readonly status: BoxStatus
  readonly image: string
  readonly cpus: number
  readonly memoryMib: number
  readonly diskMib: number
  readonly hostname: string
  readonly labels: Readonly<Record<string, string>>
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
  readonly directory: string
}

export type StepListener = (progress: { readonly step: string; readonly detail?: string }) => void

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
