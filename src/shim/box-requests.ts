import type { CborMap } from '../guest/cbor.ts'
import { integer, text } from '../guest/parse.ts'
import { signalTargets } from '../guest/protocol.ts'
import type { BoxRun } from './box-run.ts'

const longestGraceMs = 24 * 3600_000
const longestProbeMs = 60_000
const longestFreezeMs = 60_000

/** Does what a client asks of the box; what it returns is the answer. Throws for what it does not know or cannot do. */
export async function carryOut(run: BoxRun, parameters: CborMap): Promise<CborMap> {
  const method = text(parameters, 'method')
  switch (method) {
    case 'ping':
      return {}
    case 'executions':
      return { executions: shown(run).map(entry => entry.describe()) }
    case 'kill':
      kill(run, text(parameters, 'id'), integer(parameters, 'signal', 1, 64))
      return {}
    case 'top':
      run.checkRunning()
      return run.agent.request('top')
    case 'probePort': {
      const port = integer(parameters, 'port', 1, 0xffff)
      run.checkRunning()
      return run.agent.request('probePort', {
        port,
        timeoutMs: integer(parameters, 'timeoutMs', 1, longestProbeMs),
      })
    }
    case 'freeze':
      run.checkRunning()
      return run.agent.request('freeze', {
        timeoutMs: integer(parameters, 'timeoutMs', 1, longestFreezeMs),
      })
    case 'thaw':
      run.checkRunning()
      return run.agent.request('thaw')
    case 'pause':
      await run.pause()
      return {}
    case 'resume':
      await run.resume()
      return {}
    case 'stop':
      await run.stop(integer(parameters, 'graceMs', 0, longestGraceMs), 'stopped')
      return {}
    default:
      throw new Error(`the shim knows no method ${method.slice(0, 64)}`)
  }
}

function shown(run: BoxRun): BoxRun['relay']['executions']['all'] {
  return run.relay.executions.all.filter(entry => !entry.isHidden)
}

function kill(run: BoxRun, id: string, signal: number): void {
  const entry = run.relay.executions.get(id)
  if (entry === undefined) throw new Error(`there is no execution ${id}`)
  entry.kill(signal, signalTargets.group)
}
