import { Buffer } from 'node:buffer'
import { CofferError } from '../errors.ts'
import { maxNameBytes } from './format.ts'

/** A path inside an image: raw bytes, or text that stands for its UTF-8 bytes. One leading slash is allowed; `/` is the root. */
export type ImagePath = string | Uint8Array

/**
 * The names along `path`, each as a latin1 string: one character for each byte. Names on Linux are bytes, often not valid
 * UTF-8, and strings of this kind compare in byte order and cost half of what buffers do as keys.
 *
 * @throws `invalid_argument` for an empty name, `.`, `..`, a NUL or a name over 255 bytes
 */
export function splitPath(path: ImagePath): string[] {
  const text = toBytes(path).toString('latin1')
  const relative = text.startsWith('/') ? text.slice(1) : text
  if (relative === '') return []
  const names = relative.split('/')
  for (const name of names) checkName(name, path)
  return names
}

/** `path` for people: UTF-8 where it is, replacement characters where it is not. */
export const showPath = (path: ImagePath): string => JSON.stringify(toBytes(path).toString())

function toBytes(path: ImagePath): Buffer {
  return typeof path === 'string'
    ? Buffer.from(path)
    : Buffer.from(path.buffer, path.byteOffset, path.byteLength)
}

function checkName(name: string, path: ImagePath): void {
  const problem =
    name === ''
      ? 'an empty name'
      : name === '.' || name === '..'
        ? `the name ${JSON.stringify(name)}`
        : name.includes('\0')
          ? 'a NUL byte'
          : name.length > maxNameBytes
            ? `a name of ${name.length} bytes`
            : undefined
  if (problem === undefined) return
  throw new CofferError(
    'invalid_argument',
    `cannot use path ${showPath(path)} in an image: it has ${problem}`,
    {
      hint: `Resolve . and .. first; names have 1 to ${maxNameBytes} bytes and no NUL.`,
    },
  )
}
