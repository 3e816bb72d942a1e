import { CofferError, type ErrorDetails, isCofferError } from '../../errors.ts'

/** For a source of images that breaks the rules of its format. */
export function invalidSource(problem: string, hint?: string, details?: ErrorDetails): CofferError {
  return new CofferError('invalid_argument', `it is not usable: ${problem}`, {
    hint: hint ?? 'It is damaged, cut short or of another kind: make or download it again.',
    details,
  })
}

/** Says in the message which step on which thing failed. What is no error of Coffer passes through. */
export function inSource(step: string, error: unknown): unknown {
  if (!isCofferError(error)) return error
  return new CofferError(error.code, `cannot ${step}: ${error.message}`, {
    hint: error.hint,
    cause: error,
    details: error.details,
  })
}
