import type { CborMap } from '../guest/cbor.ts'
import { integer, isMap, text } from '../guest/parse.ts'
import type { ProcessInfo } from './options.ts'

/** The agent's answer to `top`. Throws `ProtocolError` when a hostile guest made it up badly. */
export function parseProcesses(answer: CborMap): ProcessInfo[] {
  const { processes } = answer
  return Array.isArray(processes) ? processes.filter(isMap).map(processOf) : []
}

function processOf(map: CborMap): ProcessInfo {
  return {
    pid: integer(map, 'pid', 0, 0x7fffffff),
    ppid: integer(map, 'ppid', 0, 0x7fffffff),
    uid: integer(map, 'user', 0, 0xffffffff),
    state: text(map, 'state'),
    rssKib: integer(map, 'rssKib', 0, Number.MAX_SAFE_INTEGER),
    cpuMs: integer(map, 'cpuMs', 0, Number.MAX_SAFE_INTEGER),
    command: text(map, 'command'),
  }
}
