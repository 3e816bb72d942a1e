import { rlimitNames } from '../guest/protocol.ts'
import type { Rlimit } from './options.ts'
import { checkObject, invalid, show } from './validate.ts'

type WireRlimit = readonly [resource: number, soft: bigint, hard: bigint]

const unlimited = -1n
const names: readonly string[] = rlimitNames

/** Resource limits in wire form. Names are matched without regard to case. Throws `invalid_argument`. */
export function parseRlimits(rlimits: Readonly<Record<string, Rlimit>>): WireRlimit[] {
  return Object.entries(checkObject('rlimits', rlimits)).map(([name, limit]: [string, Rlimit]) => {
    const resource = names.indexOf(name.toLowerCase())
    if (resource < 0)
      throw invalid('rlimits', `has no resource ${show(name)}`, `Known are: ${rlimitNames.join(', ')}.`)
    const { soft, hard } = typeof limit === 'object' && limit !== null ? limit : { soft: limit, hard: limit }
    const wire = [resource, value(name, soft), value(name, hard)] as const
    if (wire[2] !== unlimited && (wire[1] === unlimited || wire[1] > wire[2]))
      throw invalid(
        `rlimits.${name}`,
        `has a soft limit (${show(soft)}) above its hard limit (${show(hard)})`,
      )
    return wire
  })
}

function value(name: string, limit: unknown): bigint {
  if (limit === 'unlimited') return unlimited
  if (typeof limit === 'number' && Number.isSafeInteger(limit) && limit >= 0) return BigInt(limit)
  throw invalid(`rlimits.${name}`, `must be a whole number or 'unlimited', not ${show(limit)}`)
}
