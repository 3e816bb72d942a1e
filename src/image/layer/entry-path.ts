import { Buffer } from 'node:buffer'
import { maxNameBytes } from '../../erofs/format.ts'
import { CofferError } from '../../errors.ts'

/**
 * The names along the path of a tar entry, latin1, seen from the image's root: the only way from an archive to a place in the
 * tree. As umoci and Docker clean paths: a leading slash means the root, `.` and empty names nothing, and `..` takes the name
 * before it away but leads out of nowhere.
 *
 * @throws `invalid_argument` for a NUL byte, a name over 255 bytes or a path over `maxPathBytes`
 */
export function entryPath(path: string, maxPathBytes: number): string[] {
  if (path.length > maxPathBytes) throw unusable(path, `it has ${path.length} bytes`)
  if (path.includes('\0')) throw unusable(path, 'it has a NUL byte')
  const names: string[] = []
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue
    if (name === '..') names.pop()
    else if (name.length > maxNameBytes) throw unusable(path, `a name in it has ${name.length} bytes`)
    else names.push(name)
  }
  return names
}

/** A latin1 path for people: UTF-8 where it is, and not too much of it. */
export const showEntryPath = (path: string): string =>
  JSON.stringify(Buffer.from(path.slice(0, 200), 'latin1').toString() + (path.length > 200 ? '…' : ''))

function unusable(path: string, problem: string): CofferError {
  return new CofferError(
    'invalid_argument',
    `cannot use path ${showEntryPath(path)} of a layer: ${problem}`,
    {
      hint: `Linux takes paths of up to 4096 bytes with names of up to ${maxNameBytes}, without NUL.`,
    },
  )
}
