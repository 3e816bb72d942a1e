import { readFileSync } from 'node:fs'
import { UsageError } from './usage-error.ts'

type Environment = Record<string, string>
type Source = Readonly<Record<string, string | undefined>>

/** The files first, in order, then the single settings: what is said last, and most closely, holds. */
export function readEnvironment(
  settings: readonly string[] = [],
  files: readonly string[] = [],
  source: Source = process.env,
): Environment {
  const environment: Environment = {}
  for (const file of files) {
    for (const setting of settingsOfFile(file)) apply(environment, setting, source, file)
  }
  for (const setting of settings) apply(environment, setting, source, '--env')
  return environment
}

/** `KEY=VALUE`; a `KEY` alone takes the value it has here, and none if it has none, as in Docker. */
function apply(environment: Environment, setting: string, source: Source, origin: string): void {
  const equals = setting.indexOf('=')
  const key = equals === -1 ? setting : setting.slice(0, equals)
  if (key === '' || /[\s\0]/.test(key)) {
    throw new UsageError(`malformed environment setting '${setting}' in ${origin}`, 'write KEY=VALUE or KEY')
  }
  const value = equals === -1 ? source[key] : setting.slice(equals + 1)
  if (value !== undefined) environment[key] = value
}

// The format of Docker's env files: no quotes and no escapes, a value is all that follows the `=`.
function settingsOfFile(file: string): string[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read --env-file ${file}: ${error instanceof Error ? error.message : error}`)
  }
  return text
    .replace(/^\u{feff}/u, '')
    .split(/\r?\n/)
    .map(line => line.trimStart())
    .filter(line => line !== '' && !line.startsWith('#'))
}
