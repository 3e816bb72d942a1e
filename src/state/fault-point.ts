import { appendFileSync } from 'node:fs'

// Read once: a shim is given both on purpose, nobody else's environment reaches it.
const trace = process.env['COFFER_FAULT_TRACE']
const fault = process.env['COFFER_FAULT_AT']

/** What a process hands on to the shims it starts. */
export const faultEnvironment: Readonly<Record<string, string>> = {
  ...(trace === undefined ? {} : { COFFER_FAULT_TRACE: trace }),
  ...(fault === undefined ? {} : { COFFER_FAULT_AT: fault }),
}

/**
 * A step after which a crash must leave something that recovers. The test of that lets a process write the names of those it comes by
 * into the file `COFFER_FAULT_TRACE`, then lets another one die, as by `kill -9`, at each of them: `COFFER_FAULT_AT`.
 */
export function faultPoint(name: string): void {
  if (trace !== undefined) appendFileSync(trace, `${name}\n`)
  if (fault === name) process.kill(process.pid, 'SIGKILL')
}
