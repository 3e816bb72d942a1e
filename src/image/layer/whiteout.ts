import { CofferError } from '../../errors.ts'
import { showEntryPath } from './entry-path.ts'

/** What a name in a layer stands for. Source: OCI image specification, layer.md, "Whiteouts". */
export type NameMeaning =
  | { readonly kind: 'entry' }
  /** Hides the name in lower layers. */
  | { readonly kind: 'whiteout'; readonly name: string }
  /** Hides everything lower layers have in the directory. */
  | { readonly kind: 'opaque' }
  /** Bookkeeping of AUFS that old images carry along. */
  | { readonly kind: 'ignored' }

const prefix = '.wh.'
const aufsPrefix = '.wh..wh.'
const opaque = '.wh..wh..opq'
const entry: NameMeaning = { kind: 'entry' }

/**
 * Reads an entry's names, of whatever type it is: nothing says that a whiteout must be a file.
 *
 * @throws `invalid_argument` for a whiteout of no name, `.` or `..`, and for an entry inside a whiteout
 */
export function meaningOf(names: readonly string[]): NameMeaning {
  for (const [index, name] of names.entries()) {
    if (!name.startsWith(prefix)) continue
    const isLast = index === names.length - 1
    if (name === opaque && isLast) return { kind: 'opaque' }
    if (name.startsWith(aufsPrefix)) return { kind: 'ignored' }
    const hidden = name.slice(prefix.length)
    // Joined to a path, these would hide the directory itself, or the one above it.
    if (hidden === '' || hidden === '.' || hidden === '..') throw invalid(names, 'it hides no name')
    if (!isLast) throw invalid(names, `nothing can be inside the whiteout ${JSON.stringify(name)}`)
    return { kind: 'whiteout', name: hidden }
  }
  return entry
}

function invalid(names: readonly string[], problem: string): CofferError {
  return new CofferError(
    'invalid_argument',
    `cannot apply entry ${showEntryPath(names.join('/'))} of a layer: ${problem}`,
    { hint: 'Names that begin with .wh. are reserved by OCI for whiteouts. Make the image again.' },
  )
}
