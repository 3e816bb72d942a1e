import { CofferError } from '../../errors.ts'
import { isBuiltIn } from '../builtin.ts'
import { isDaemonName } from '../daemon-name.ts'
import { canonicalName } from '../find.ts'
import { parseReference } from '../reference.ts'

/** What an image that is made here is to be called, in full; nothing if only its digest is to name it. Throws `invalid_argument`. */
export function newNames(name: string | undefined): string[] {
  return name === undefined ? [] : [newName(name)]
}

/** A name that an image of the home can be given, in full. Throws `invalid_argument`. */
export function newName(name: string): string {
  if (isBuiltIn(name)) throw taken(name, "it is the built-in one's")
  if (isDaemonName(name)) throw taken(name, 'it means an image of Docker or Podman')
  const reference = parseReference(name)
  if (reference.digest === undefined) return canonicalName(reference)
  throw new CofferError('invalid_argument', `${name} has a digest, which no new image can be given`, {
    hint: 'Leave out what begins with @.',
  })
}

function taken(name: string, reason: string): CofferError {
  return new CofferError('invalid_argument', `no image here can have the name ${name}: ${reason}`, {
    hint: 'Choose another name.',
  })
}
