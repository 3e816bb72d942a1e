import type { failureKinds } from './protocol.ts'

/** The payloads of control frames. Keys are spelled on the wire as they are here. */

export type Hello = {
  readonly protocol: number
  /** Digest of the agent's sources (agent) or the package version (shim, client). */
  readonly build: string
  /** `uname -r` of the guest (agent only). */
  readonly kernel?: string
  /** Optional abilities, so that a newer side can do without what an older one lacks. */
  readonly features: readonly string[]
}

/** The part of the guest's configuration that is known before it runs. */
export type GuestConfiguration = {
  readonly hostname: string
  /** 32 hexadecimal digits for /etc/machine-id. The boot id that users see is the agent's: a new one at every start. */
  readonly machineId: string
  readonly resolvConf: string
  readonly hosts: string
  /** Tasks the container may have at once. */
  readonly pidsMax: number
  /** Capability numbers the container keeps. */
  readonly capabilities: readonly number[]
  /** Absolute paths that are made, as root's, where they are missing. What cannot be made is left. At most 16 KiB in all. */
  readonly directories?: readonly string[]
}

/** … and what is added at the last moment. */
export type Configure = GuestConfiguration & {
  /** The host's CLOCK_REALTIME in nanoseconds. */
  readonly timeNs: bigint
  /** 64 bytes of the host's random source, credited to the guest's. */
  readonly entropy: Uint8Array
}

export type Configured = {
  /** Microseconds from the receipt of configure to mounted root, and to the running container. */
  readonly mountedUs: number
  readonly readyUs: number
}

export type ExecRequest = {
  readonly argv: readonly string[]
  /** `NAME=value`, complete: the agent adds HOME from passwd if it is missing, nothing else. */
  readonly env: readonly string[]
  readonly cwd?: string
  /** `name|uid[:group|gid]`, looked up in the box's own passwd and group files; absent: root. */
  readonly user?: string
  /** Present: a pseudo-terminal of this size on all three streams. */
  readonly tty?: { readonly rows: number; readonly cols: number }
  /** True: standard input is a pipe; false: /dev/null. */
  readonly stdin: boolean
  /** At expiry the whole process tree gets SIGKILL. */
  readonly timeoutMs?: number
  /** Resource number, soft, hard; -1n is infinity. */
  readonly rlimits?: readonly (readonly [number, bigint, bigint])[]
  /**
   * A program of the agent's own in place of a command: `argv` only names it in lists, and of the options `timeoutMs` alone counts.
   * It goes on while the box is frozen, and the box neither sees nor reaches it.
   *
   * `diff`: standard output is the box's own changes as a layer of an OCI image, an uncompressed PAX archive. Exit code 0 says that it is
   * all there is; otherwise standard error says what is missing.
   */
  readonly builtin?: 'diff'
}

/** What the host may ask of the agent by a `request` frame: `method`, and these parameters beside it. */
export type AgentRequests = {
  ping: { parameters: Record<string, never>; answer: Record<string, never> }
  /**
   * Stops the container's processes and makes its disk whole and quiet. Undone by itself after `timeoutMs` (60 s) of the guest's time;
   * a freeze of a frozen box starts that time anew.
   */
  freeze: { parameters: { readonly timeoutMs?: number }; answer: Record<string, never> }
  thaw: { parameters: Record<string, never>; answer: Thawed }
  /** The host's CLOCK_REALTIME. After a stop of the VM, before the thaw: processes then never see the old time. */
  clock: { parameters: { readonly timeNs: bigint }; answer: Record<string, never> }
  /**
   * For a template: image and disk are mounted and flushed before anything of one box is known, and `files`, absolute paths, 16 KiB in all, are read
   * where they are regular files. Once configured: `invalid_state`.
   */
  mount: { parameters: { readonly files?: readonly string[] }; answer: Record<string, never> }
  /** `port` 1 to 65535, `timeoutMs` 1 to 3 600 000. */
  probePort: { parameters: { readonly port: number; readonly timeoutMs: number }; answer: PortProbed }
}

export type Thawed = {
  /** The box was frozen from the answer to freeze until now: what was copied meanwhile is whole. */
  readonly held: boolean
}

export type PortProbed = {
  /** Something accepted a TCP connection on 127.0.0.1 or ::1. */
  readonly open: boolean
}

/** What the shim takes out of an exec frame; the agent ignores it. */
export type ShimExecRequest = ExecRequest & {
  /** Chosen by the client: 12 characters, base62. */
  readonly id: string
  /** The execution runs on without a client. */
  readonly detach: boolean
  /** The client hears that it runs, or why not, and nothing else. */
  readonly unread?: boolean
}

export type Started = { readonly pid: number }

export type Exited = {
  /** Exit status 0…255, or the negative number of the signal that ended the process. */
  readonly code: number
  readonly timedOut: boolean
  /** The guest's kernel killed a process of this execution for want of memory. */
  readonly outOfMemory: boolean
  readonly durationMs: number
}

export type FailureKind = (typeof failureKinds)[number]

export type Failure = {
  readonly kind: FailureKind
  /** The step that failed: `execve`, `chdir`, `setgroups` … */
  readonly stage: string
  readonly errno: number
  readonly message: string
}
