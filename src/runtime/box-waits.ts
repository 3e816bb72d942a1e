import { setTimeout as sleep } from 'node:timers/promises'
import { CofferError } from '../errors.ts'
import type { BoxConnection, BoxContext } from './box-connection.ts'
import { startedImage } from './box-image.ts'
import { boxInfo } from './box-info.ts'
import type { BoxInfo, BoxStop, LogEntry, WaitOptions } from './options.ts'
import { checkDuration, healthCheckOf } from './policy-options.ts'
import { checkInteger } from './validate.ts'

const lookMs = 50
const longestProbeMs = 5_000

/** Waits until the box has no VM any more, and tells how it came to that. Resolves at once when it has none. */
export async function waitForStop(context: BoxContext, connection: BoxConnection): Promise<BoxStop> {
  const { store } = context
  const { id } = connection.place
  const begin = store.events.last()
  while (connection.isActive) {
    const session = await connection.connectIfRunning()
    await (session === undefined ? sleep(lookMs) : session.whenClosed())
  }
  // A box that removes itself leaves its events only, and one that restarts itself may run again by now.
  const end = lastEnd(context, id, begin) ?? lastEnd(context, id, 0)
  if (end !== undefined) return end
  return { exitCode: undefined, cause: undefined, reason: connection.row().reason ?? 'the box has not run' }
}

function lastEnd({ store }: BoxContext, boxId: string, after: number): BoxStop | undefined {
  const event = store.events.lastEnd(boxId, after)
  if (event === undefined) return undefined
  const { exitCode, cause, reason } = event.details
  return {
    exitCode: typeof exitCode === 'number' ? exitCode : undefined,
    cause: typeof cause === 'string' ? cause : undefined,
    reason: String(reason ?? ''),
  }
}

export async function waitUntilHealthy(
  { home, store }: BoxContext,
  connection: BoxConnection,
  options: WaitOptions,
): Promise<void> {
  if (healthCheckOf(connection.place.config, startedImage(store, connection.row())) === undefined)
    throw new CofferError('invalid_state', `box ${connection.place.label} has no health check`, {
      hint: 'Create it with one (healthCheck, --health-cmd, --health-port).',
    })
  await poll(`box ${connection.place.label} to become healthy`, options, async () => {
    const info = boxInfo(home, store, connection.row())
    checkRunning(info, connection.place.label)
    return info.health.status === 'healthy'
  })
}

export async function waitForPort(
  { home, store }: BoxContext,
  connection: BoxConnection,
  port: number,
  options: WaitOptions,
): Promise<void> {
  checkInteger('port', port, 1, 0xffff)
  const { label } = connection.place
  await poll(`port ${port} of box ${label}`, options, async () => {
    checkRunning(boxInfo(home, store, connection.row()), label)
    const session = await connection.connectIfRunning()
    // It is about to end, or between two runs.
    if (session === undefined) return false
    try {
      const { open } = await session.request('probePort', { port, timeoutMs: longestProbeMs })
      return open === true
    } catch (error) {
      throw await connection.explain(`cannot look for port ${port} of box ${label}`, error)
    }
  })
}

/** The first line of the log that matches, its line end left out. */
export async function waitForLog(
  label: string,
  pattern: string | RegExp,
  options: WaitOptions,
  logs: (signal: AbortSignal) => AsyncIterable<LogEntry>,
): Promise<string> {
  const { signal, give } = deadline(`a line ${pattern} of box ${label}`, options)
  const isWanted = (line: string): boolean =>
    typeof pattern === 'string' ? line.includes(pattern) : line.search(pattern) >= 0
  const open = { stdout: '', stderr: '' }
  for await (const { stream, data } of logs(signal)) {
    const lines = (open[stream] + data.toString('utf8')).split('\n')
    open[stream] = lines.pop()?.slice(-maxLineLength) ?? ''
    const found = [...lines, open[stream]].find(isWanted)
    if (found !== undefined) return found.trimEnd()
  }
  give()
  throw new CofferError('stopped', `box ${label} stopped without writing a line ${pattern}`, {
    hint: `See what it wrote: coffer logs ${label}`,
  })
}

const maxLineLength = 64 * 1024

async function poll(what: string, options: WaitOptions, isThere: () => Promise<boolean>): Promise<void> {
  const { signal, give } = deadline(what, options)
  while (!(await isThere())) {
    await sleep(lookMs, undefined, { signal }).catch(() => {})
    give()
  }
}

/** `give` throws when the wait was given up. */
function deadline(what: string, options: WaitOptions): { signal: AbortSignal; give(): void } {
  const timeoutMs = checkDuration('timeoutMs', options.timeoutMs)
  const signals = [
    ...(options.signal === undefined ? [] : [options.signal]),
    ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]),
  ]
  const signal = AbortSignal.any(signals)
  return {
    signal,
    give: () => {
      if (options.signal?.aborted)
        throw new CofferError('aborted', `the wait for ${what} was given up`, { cause: signal.reason })
      if (signal.aborted)
        throw new CofferError('timeout', `waited ${timeoutMs} ms for ${what}`, {
          hint: 'Give it more time, or look at what the box does (coffer inspect, coffer logs).',
        })
    },
  }
}

function checkRunning({ status, reason }: BoxInfo, label: string): void {
  if (status === 'running' || status === 'paused') return
  throw new CofferError('stopped', `box ${label} is ${status}${reason === undefined ? '' : `: ${reason}`}`)
}
