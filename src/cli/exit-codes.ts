import { constants } from 'node:os'
import { isCofferError } from '../errors.ts'
import type { Result } from '../runtime/options.ts'

export const exitCodes = {
  ok: 0,
  usage: 2,
  /** Coffer itself failed: the command did not run, or its end is not known. */
  failure: 125,
  notExecutable: 126,
  notFound: 127,
} as const

/** As a shell has it: the command's own code, or 128 + N when signal N ended it. */
export function exitCodeOfResult(result: Pick<Result, 'exitCode'>): number {
  return result.exitCode < 0 ? 128 - result.exitCode : result.exitCode
}

export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

export function exitCodeOfError(error: unknown): number {
  if (!isCofferError(error, 'execution_failed')) return exitCodes.failure
  switch (error.details['kind']) {
    case 'not_found':
      return exitCodes.notFound
    case 'not_executable':
    case 'bad_interpreter':
      return exitCodes.notExecutable
    default:
      return exitCodes.failure
  }
}
