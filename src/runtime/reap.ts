import { readdirSync, readFileSync, statSync } from 'node:fs'

/**
 * Ends what may be left of a box whose pid file names no living shim: the shim, if somebody removed its pid file, and its VMM, which the
 * kernel ends with the shim. Both carry the id of the box in their command lines.
 */
export function reapBox(boxId: string): void {
  const user = process.getuid?.()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    try {
      if (statSync(`/proc/${name}`).uid !== user) continue
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0')
      if (isOf(boxId, words)) process.kill(Number(name), 'SIGKILL')
    } catch {
      // It ended between the listing and the look, or is not ours.
    }
  }
}

function isOf(boxId: string, words: readonly string[]): boolean {
  // A process that sets its title has all of it in the first word.
  if (words[0]?.startsWith(`coffer-shim ${boxId} `)) return true
  const name = words.indexOf('-name')
  return name >= 0 && words[name + 1] === `coffer-${boxId}`
}
