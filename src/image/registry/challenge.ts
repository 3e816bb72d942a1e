/** One way a server offers to be convinced: RFC 9110, 11.6.1. Scheme and parameter names are in lower case. */
export type Challenge = { readonly scheme: string; readonly parameters: ReadonlyMap<string, string> }

const maxLength = 8192
const maxChallenges = 8

/**
 * Reads the values of WWW-Authenticate. Never throws: what cannot be read ends the list, since a server that offers nothing
 * readable is a server that refuses.
 */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const values = header === undefined ? [] : typeof header === 'string' ? [header] : header
  return values.flatMap(value => parseValue(value.slice(0, maxLength))).slice(0, maxChallenges)
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const parameterPattern = new RegExp(
  `[\\s,]*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))\\s*(?=,|$)`,
  'y',
)
const schemePattern = new RegExp(`[\\s,]*(${token})(?=\\s|,|$)(?!\\s*=)`, 'y')
// The other form of a challenge, `Negotiate YII=`: one opaque value instead of parameters.
const opaquePattern = /[ \t]+[A-Za-z0-9._~+/-]+=*\s*(?=,|$)/y

function parseValue(value: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  let position = 0
  const take = (pattern: RegExp) => {
    pattern.lastIndex = position
    const match = pattern.exec(value)
    if (match !== null) position = pattern.lastIndex
    return match
  }
  while (position < value.length) {
    const last = challenges.at(-1)
    const parameter = last === undefined ? null : take(parameterPattern)
    if (parameter !== null) {
      const [, name = '', quoted, plain = ''] = parameter
      const key = name.toLowerCase()
      // The first of two equal names counts, as in Docker.
      if (last !== undefined && !last.parameters.has(key))
        last.parameters.set(key, quoted?.replace(/\\(.)/g, '$1') ?? plain)
      continue
    }
    const scheme = take(schemePattern)
    if (scheme === null) break
    challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters: new Map() })
    const before = position
    if (take(parameterPattern) === null) take(opaquePattern)
    else position = before
  }
  return challenges
}
