import type { AgentLink } from '../guest/agent-link.ts'
import { createId } from '../state/box-id.ts'
import type { Check } from './health.ts'
import type { HealthPolicy } from './launch.ts'
import type { Relay } from './relay.ts'

const maxOutputBytes = 4096
/** Beyond the timeout the guest keeps itself, for a guest that does not. */
const marginMs = 5_000

/** The check of a policy, on a box that runs. */
export function healthCheck(policy: HealthPolicy, relay: Relay, agent: AgentLink): Check {
  const check = policy.probe.kind === 'port' ? portCheck(policy, agent) : commandCheck(policy, relay)
  return () => withDeadline(check, policy.timeoutMs)
}

function portCheck({ probe, timeoutMs }: HealthPolicy, agent: AgentLink): Check {
  const port = probe.kind === 'port' ? probe.port : 0
  return async () => {
    const { open } = await agent.request('probePort', { port, timeoutMs })
    return open === true
      ? { ok: true, output: `port ${port} accepts connections` }
      : { ok: false, output: `nothing accepts connections on port ${port}` }
  }
}

function commandCheck({ probe, timeoutMs }: HealthPolicy, relay: Relay): Check {
  if (probe.kind !== 'command') throw new Error('a check of a port runs no command')
  const request = { ...probe.request, timeoutMs }
  return async () => {
    const pieces: Buffer[] = []
    let bytes = 0
    const { entry, start } = relay.prepare(
      createId(),
      request,
      (_type, piece) => {
        if (bytes < maxOutputBytes) pieces.push(Buffer.from(piece.subarray(0, maxOutputBytes - bytes)))
        bytes += piece.length
      },
      true,
    )
    start()
    await entry.done
    const printed = Buffer.concat(pieces).toString('utf8').trimEnd()
    if (entry.failure !== undefined) return { ok: false, output: entry.failure.message }
    if (entry.exited?.timedOut) return { ok: false, output: `it took longer than ${timeoutMs} ms` }
    return { ok: entry.exited?.code === 0, output: printed }
  }
}

async function withDeadline(check: Check, timeoutMs: number): ReturnType<Check> {
  const late = Promise.withResolvers<Awaited<ReturnType<Check>>>()
  const timer = setTimeout(
    () => late.resolve({ ok: false, output: 'the guest does not answer' }),
    timeoutMs + marginMs,
  )
  try {
    return await Promise.race([check(), late.promise])
  } catch (error) {
    return { ok: false, output: error instanceof Error ? error.message : String(error) }
  } finally {
    clearTimeout(timer)
  }
}
