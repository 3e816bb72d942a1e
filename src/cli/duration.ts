import { InvalidArgumentError } from 'commander'

const msPerUnit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `10`, `500ms`, `1.5s`, `2m`, `1h`: seconds where no unit is given. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/i.exec(text.trim())
  if (match === null) throw new InvalidArgumentError('Expected a duration such as 10, 500ms, 1.5s or 2m.')
  const [, number = '', unit = 's'] = match
  const durationMs = Math.round(Number(number) * (msPerUnit[unit.toLowerCase()] ?? 1))
  if (!Number.isSafeInteger(durationMs)) throw new InvalidArgumentError('Expected a shorter duration.')
  return durationMs
}

// Node's timers take 31 bits.
const longestMs = 0x7fffffff

/** A duration for a timer: not nothing, and not longer than 24 days. */
export function parseTimerMs(text: string): number {
  const durationMs = parseDurationMs(text)
  if (durationMs < 1 || durationMs > longestMs)
    throw new InvalidArgumentError('Expected at least 1ms, and at most 596h (24 days).')
  return durationMs
}
