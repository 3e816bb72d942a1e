import { CofferError } from '../../errors.ts'
import type { ConfigChanges } from './config-changes.ts'

/**
 * Reads instructions of a Dockerfile that change a configuration only, as Docker's `--change` takes them: `CMD ["sh", "-c", "…"]`, `CMD echo hi`,
 * `ENV A=1 B="two words"`, `WORKDIR /app`, and ENTRYPOINT, USER, LABEL, EXPOSE, VOLUME, STOPSIGNAL.
 *
 * @throws `invalid_argument`
 */
export function parseChanges(lines: readonly string[]): ConfigChanges {
  let changes: ConfigChanges = {}
  for (const line of lines) changes = { ...changes, ...parseLine(line, changes) }
  return changes
}

function parseLine(line: string, before: ConfigChanges): ConfigChanges {
  const match = /^\s*([a-z]+)\s+(\S.*)$/is.exec(line)
  const [, instruction = '', rest = ''] = match ?? []
  const text = rest.trim()
  switch (instruction.toUpperCase()) {
    case 'CMD':
      return { command: commandOf(line, text) }
    case 'ENTRYPOINT':
      return { entrypoint: commandOf(line, text) }
    case 'ENV':
      return { env: { ...before.env, ...pairsOf(line, text) } }
    case 'LABEL':
      return { labels: { ...before.labels, ...pairsOf(line, text) } }
    case 'WORKDIR':
      return { workdir: workdirOf(before.workdir, text) }
    case 'USER':
      return { user: text }
    case 'STOPSIGNAL':
      return { stopSignal: text }
    case 'EXPOSE':
      return {
        exposedPorts: [
          ...(before.exposedPorts ?? []),
          ...wordsOf(line, text).map(word => portOf(line, word)),
        ],
      }
    case 'VOLUME':
      return { volumes: [...(before.volumes ?? []), ...(listOf(text) ?? wordsOf(line, text))] }
    default:
      throw invalid(
        line,
        'it is none of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR',
      )
  }
}

/** A JSON list is the command itself; anything else is for a shell. */
function commandOf(line: string, text: string): string[] {
  if (text === '') throw invalid(line, 'it has no command')
  return listOf(text) ?? ['/bin/sh', '-c', text]
}

function listOf(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every(word => typeof word === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

/** `A=1 B="two words"`, or the old form `A all the rest`. */
function pairsOf(line: string, text: string): Record<string, string> {
  const words = wordsOf(line, text)
  if (!/^[^\s=]+=/.test(text.replace(/^["']/, ''))) {
    const [, name, value] = /^(\S+)\s+(.*)$/s.exec(text) ?? []
    if (name === undefined || value === undefined) throw invalid(line, 'it has a name without a value')
    return { [name]: value }
  }
  return Object.fromEntries(
    words.map(word => {
      const separator = word.indexOf('=')
      if (separator < 1) throw invalid(line, `${JSON.stringify(word.slice(0, 60))} is no NAME=value`)
      return [word.slice(0, separator), word.slice(separator + 1)]
    }),
  )
}

/** Words as a Dockerfile has them: quotes and backslashes, and nothing is expanded. */
function wordsOf(line: string, text: string): string[] {
  const words: string[] = []
  const pattern = /\s*((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+)/sy
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)
    if (match === null) throw invalid(line, 'a quote is not closed')
    words.push(unquoted(match[1] ?? ''))
  }
  return words
}

function unquoted(word: string): string {
  return word.replace(
    /"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/gs,
    (_, double?: string, single?: string, escaped?: string) =>
      double?.replace(/\\(["\\$])/g, '$1') ?? single ?? escaped ?? '',
  )
}

function workdirOf(before: string | undefined, path: string): string {
  return path.startsWith('/') || before === undefined ? path : `${before.replace(/\/+$/, '')}/${path}`
}

function portOf(line: string, word: string): string {
  const [, port, protocol = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(word) ?? []
  if (port === undefined || Number(port) < 1 || Number(port) > 65535)
    throw invalid(line, `${JSON.stringify(word.slice(0, 60))} is no port`)
  return `${Number(port)}/${protocol.toLowerCase()}`
}

function invalid(line: string, problem: string): CofferError {
  const shown = line.length > 100 ? `${line.slice(0, 100)}…` : line
  return new CofferError(
    'invalid_argument',
    `cannot change the configuration by ${JSON.stringify(shown)}: ${problem}`,
    {
      hint: 'Write it as in a Dockerfile: ENV NAME=value, CMD ["program", "argument"].',
    },
  )
}
