import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { shimFiles } from '../shim/launch.ts'
import { hostBootId, isAlive, type ProcessIdentity } from '../state/process-identity.ts'

/**
 * The shim of a box, if it lives. The pid file is the truth: it names the process with its start time and its host's boot, so
 * that neither a reused pid nor a reboot is mistaken for it.
 */
export function findShim(directory: string, boxId: string): ProcessIdentity | undefined {
  const identity = readPidFile(join(directory, shimFiles.pid), boxId)
  return identity !== undefined && isAlive(identity) ? identity : undefined
}

/** Whether the pid file is that of a shim which the end of the host's last boot ended. */
export function isOfEarlierBoot(directory: string, boxId: string): boolean {
  const identity = readPidFile(join(directory, shimFiles.pid), boxId)
  return identity !== undefined && identity.bootId !== hostBootId()
}

function readPidFile(path: string, boxId: string): ProcessIdentity | undefined {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    // No file, or none that can be read as one: nothing that we may call ours.
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { pid, startTicks, bootId, boxId: owner } = value as Record<string, unknown>
  if (
    typeof pid !== 'number' ||
    typeof startTicks !== 'number' ||
    typeof bootId !== 'string' ||
    owner !== boxId
  )
    return undefined
  return { pid, startTicks, bootId }
}
