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
