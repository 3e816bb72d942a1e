import { UsageError } from './usage-error.ts'

/** What is read from standard input, which is no place to type it. */
export function standardInput(what: string): AsyncIterable<Uint8Array> {
  if (process.stdin.isTTY === true)
    throw new UsageError(
      `${what} is read from standard input, which is a terminal`,
      'name a file, or pass one on with <',
    )
  return process.stdin
}
