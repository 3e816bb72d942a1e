import { InvalidArgumentError } from 'commander'
import type { Rlimit } from '../runtime/options.ts'

type Limits = Readonly<Record<string, Rlimit>>
type Value = number | 'unlimited'

/** Adds `NAME=VALUE` or `NAME=SOFT:HARD` to the limits; which names there are is the library's to say. */
export function collectRlimit(text: string, limits: Limits = {}): Limits {
  const match = /^([a-z_]+)=([^:]+)(?::([^:]+))?$/i.exec(text)
  if (match === null) throw new InvalidArgumentError('Expected NAME=VALUE or NAME=SOFT:HARD.')
  const [, name = '', soft = '', hard] = match
  const limit: Rlimit =
    hard === undefined ? parseValue(soft) : { soft: parseValue(soft), hard: parseValue(hard) }
  return { ...limits, [name.toLowerCase()]: limit }
}

function parseValue(text: string): Value {
  if (text === 'unlimited' || text === '-1') return 'unlimited'
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError(`'${text}' is no limit; expected a whole number or 'unlimited'.`)
  }
  return value
}
