import { CofferError } from '../../errors.ts'
import { isBuiltIn } from '../builtin.ts'
import { canonicalName } from '../find.ts'
import { parseReference } from '../reference.ts'

/** What an image that is made here is to be called, in full; nothing if only its digest is to name it. Throws `invalid_argument`. */
export function newNames(name: string | undefined): string[] {
  if (name === undefined) return []
  if (isBuiltIn(name))
    throw new CofferError(
      'invalid_argument',
      `no image can be made with the name ${name}: it is the built-in one's`,
      {
        hint: 'Choose another name.',
      },
    )
  const reference = parseReference(name)
  if (reference.digest === undefined) return [canonicalName(reference)]
  throw new CofferError('invalid_argument', `${name} has a digest, which no new image can be given`, {
    hint: 'Leave out what begins with @.',
  })
}
