import { readFileSync } from 'node:fs'

/** A process that is still the one we mean: a pid alone is reused. */
export type ProcessIdentity = {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: clock ticks from the host's boot to the start of the process. */
  readonly startTicks: number
  /** /proc/sys/kernel/random/boot_id of the host. */
  readonly bootId: string
}

/** The identity of a living process, or undefined if there is none of this pid (a zombie counts as dead). */
export function identify(pid: number): ProcessIdentity | undefined {
  const startTicks = readStartTicks(pid)
  return startTicks === undefined ? undefined : { pid, startTicks, bootId: hostBootId() }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identity.bootId === hostBootId() && readStartTicks(identity.pid) === identity.startTicks
}

let bootId: string | undefined

export function hostBootId(): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return bootId
}

function readStartTicks(pid: number): number | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    // No such file: no such process. There is no other cause for the owner of both.
    return undefined
  }
  // proc(5): the second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  const startTicks = Number(fields[19])
  return state === 'Z' || state === 'X' || !Number.isSafeInteger(startTicks) ? undefined : startTicks
}
