import { inspect } from 'node:util'
import { isCofferError, systemErrorCode } from '../errors.ts'
import { exitCodeOfError, exitCodes } from './exit-codes.ts'
import { paint, printable } from './style.ts'
import { UsageError } from './usage-error.ts'

type Options = {
  readonly debug: boolean
  /** Of the command that failed, for errors in its use. */
  readonly usage?: string | undefined
  readonly stream?: NodeJS.WriteStream
}

/** Prints what went wrong and what to do next, and returns the exit code that says it. */
export function reportError(error: unknown, options: Options): number {
  const stream = options.stream ?? process.stderr
  stream.write(formatError(error, { ...options, stream }))
  return error instanceof UsageError ? exitCodes.usage : exitCodeOfError(error)
}

export function formatError(error: unknown, { debug, usage, stream = process.stderr }: Options): string {
  const lines = [`${paint('red', 'coffer:', stream)} ${printable(messageOf(error))}`]
  const hint = hintOf(error)
  if (hint !== undefined) lines.push(`  ${paint('cyan', 'hint:', stream)} ${printable(hint)}`)
  if (error instanceof UsageError && usage !== undefined) lines.push(`  usage: ${usage}`)
  if (debug) lines.push(printable(inspect(error, { depth: 8 })))
  return `${lines.join('\n')}\n`
}

function messageOf(error: unknown): string {
  if (error instanceof Error && error.message !== '') return error.message
  return `unexpected failure: ${inspect(error, { depth: 1 })}`
}

function hintOf(error: unknown): string | undefined {
  if (isCofferError(error) || error instanceof UsageError) return error.hint
  // An error of the system names its file and needs no more; any other is a fault of this program.
  return systemErrorCode(error) === undefined ? 'run it again with --debug for the details' : undefined
}
