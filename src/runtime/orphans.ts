import { readdirSync, readFileSync, statSync } from 'node:fs'

/**
 * Ends what a killed shim may have left of its VMM. The kernel does that (bubblewrap asks for the death of its parent as a signal), except when the
 * shim is killed in the few milliseconds in which bubblewrap has not asked yet. Only for a box whose shim is known to be dead.
 */
export function reapOrphans(boxId: string): void {
  const user = process.getuid?.()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      if (statSync(`/proc/${name}`).uid !== user) continue
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0')
      if (words[words.indexOf('-name') + 1] === `coffer-${boxId}`) process.kill(Number(name), 'SIGKILL')
    } catch {
      // It ended between the listing and the look, or is not ours.
    }
  }
}
