import { CofferError, type ErrorDetails } from '../../errors.ts'

/** For an archive that breaks the rules of its format. */
export function invalidArchive(problem: string, details?: ErrorDetails): CofferError {
  return new CofferError('invalid_argument', `cannot read tar archive: ${problem}`, {
    hint: 'The archive is damaged, cut short or not a tar archive: make or download it again.',
    details,
  })
}

/** For what is valid but more than this machine is willing to hold. */
export function overLimit(problem: string, limit: string, details?: ErrorDetails): CofferError {
  return new CofferError('resource_exhausted', `cannot read tar archive: ${problem}`, {
    hint: `An image of such a kind is hostile or made for other purposes; the limit is ${limit}.`,
    details,
  })
}
