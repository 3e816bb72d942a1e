import { readFileSync } from 'node:fs'
import { CofferError } from '../errors.ts'
import type { Exited, Failure } from '../guest/messages.ts'
import { writeFileAtomic } from '../state/atomic-file.ts'

export const exitCauses = [
  /** Somebody asked for it and the guest shut down. */
  'stopped',
  /** Somebody asked for it and the guest had to be ended by force. */
  'killed',
  /** The process that started the box went away. */
  'orphaned',
  /** Nothing happened in the box for as long as its policy allows. */
  'idle',
  /** The box ran as long as its policy allows. */
  'max_duration',
  /** The main process ended: see `main`. */
  'main_exited',
  /** The main process could not be run: see `mainFailure`. */
  'main_failed',
  /** The guest powered itself off. */
  'guest_shutdown',
  /** QEMU ended by itself. */
  'vm_died',
  /** The guest or QEMU broke the wire protocol. */
  'protocol',
  /** The guest was never ready: see `message`. */
  'not_ready',
  /** The shim itself failed. */
  'shim_failed',
  /** The shim was killed: what a missing record is read as. */
  'shim_killed',
] as const

export type ExitCause = (typeof exitCauses)[number]

const wanted: ReadonlySet<ExitCause> = new Set(['stopped', 'killed', 'orphaned', 'idle', 'max_duration'])
const orderly: ReadonlySet<ExitCause> = new Set([...wanted, 'guest_shutdown', 'main_exited'])

/** Whether a run ended as somebody outside the box or one of its policies wanted it to. */
export function isWanted(cause: ExitCause): boolean {
  return wanted.has(cause)
}

/** Whether a run ended without a failure of the machine. */
export function isOrderly(cause: ExitCause): boolean {
  return orderly.has(cause)
}

/** How a run of a box ended, as the shim saw it. Its absence says that the shim was killed. */
export type ExitRecord = {
  readonly cause: ExitCause
  readonly message: string
  /** Of QEMU, when it ended by itself. */
  readonly exitCode: number | undefined
  readonly signal: string | number | undefined
  readonly stderr: string
  readonly atMs: number
  readonly main?: Exited | undefined
  readonly mainFailure?: Failure | undefined
}

export function writeExitRecord(path: string, record: ExitRecord): void {
  writeFileAtomic(path, JSON.stringify(record))
}

/** The record at `path`, or undefined when there is none or a crash left half of one. */
export function readExitRecord(path: string): ExitRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
  return isExitRecord(value) ? value : undefined
}

function isExitRecord(value: unknown): value is ExitRecord {
  if (typeof value !== 'object' || value === null) return false
  const { cause, message, stderr, atMs } = value as Partial<Record<keyof ExitRecord, unknown>>
  return (
    exitCauses.some(known => known === cause) &&
    typeof message === 'string' &&
    typeof stderr === 'string' &&
    typeof atMs === 'number'
  )
}

/** The record of a failure of the shim's own. */
export function failureRecord(error: unknown): ExitRecord {
  const message = error instanceof Error ? error.message : String(error)
  const cause = error instanceof CofferError ? 'not_ready' : 'shim_failed'
  return { cause, message, exitCode: undefined, signal: undefined, stderr: '', atMs: Date.now() }
}
