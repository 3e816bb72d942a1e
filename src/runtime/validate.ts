import { CofferError } from '../errors.ts'

/**
 * Checks of what a caller hands in. Each gives the typed value or throws `invalid_argument` naming the field, what is wrong with it and
 * what is allowed. Written by hand because every start of the command line pays for what is imported here: see
 * docs/decisions/0001-no-schema-library-in-the-engine.md.
 */

export function invalid(field: string, problem: string, hint?: string): CofferError {
  return new CofferError('invalid_argument', `${field} ${problem}`, { hint, details: { field } })
}

/** Refuses a key that is not in `known`: a misspelt option must not be ignored. */
export function checkKeys(what: string, value: object, known: readonly string[]): void {
  for (const key of Object.keys(value))
    if (!known.includes(key))
      throw invalid(`${what}.${key}`, 'is not an option', `Known are: ${known.join(', ')}.`)
}

export function checkObject(field: string, value: unknown): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(field, 'must be an object')
  return value
}

export function checkInteger(field: string, value: unknown, least: number, most: number, unit = ''): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw invalid(
    field,
    `must be a whole number from ${least} to ${most}${unit && ` ${unit}`}, not ${show(value)}`,
  )
}

export function checkBoolean(field: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(field, `must be true or false, not ${show(value)}`)
  return value
}

export function checkText(field: string, value: unknown, maxLength = 4096): string {
  if (typeof value !== 'string') throw invalid(field, `must be text, not ${show(value)}`)
  if (value.includes('\0')) throw invalid(field, 'must not hold a NUL character')
  if (value.length > maxLength)
    throw invalid(field, `has ${value.length} characters, ${maxLength} are allowed`)
  return value
}

export function checkTextList(field: string, value: unknown, maxLength: number): string[] {
  if (!Array.isArray(value)) throw invalid(field, `must be a list of texts, not ${show(value)}`)
  return value.map((item: unknown, index) => checkText(`${field}[${index}]`, item, maxLength))
}

export function checkTextRecord(field: string, value: unknown, maxLength: number): Record<string, string> {
  const record: Record<string, string> = {}
  for (const [key, item] of Object.entries(checkObject(field, value))) {
    checkText(`${field} key`, key)
    record[key] = checkText(`${field}.${key}`, item, maxLength)
  }
  return record
}

const environmentName = /^[^=\0]+$/

export function checkEnvironment(field: string, value: unknown, maxLength: number): Record<string, string> {
  const record = checkTextRecord(field, value, maxLength)
  for (const name of Object.keys(record))
    if (!environmentName.test(name))
      throw invalid(field, `has the name ${show(name)}, which is empty or holds '='`)
  return record
}

/** A value for a message: short, on one line. */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
