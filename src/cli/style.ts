import { styleText } from 'node:util'

type Format = Parameters<typeof styleText>[0]

/** Colours `text` if `stream` is a terminal that shows colours and NO_COLOR is not set. */
export function paint(format: Format, text: string, stream: NodeJS.WriteStream): string {
  // An empty NO_COLOR means that it is not set; Node takes its mere presence.
  if (process.env['NO_COLOR'] || stream.isTTY !== true) return text
  return styleText(format, text, { validateStream: false })
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to find
const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/**
 * Text from a guest or a registry, without what a terminal would obey: escape sequences, carriage returns, and the characters that turn the
 * direction of what follows.
 */
export function printable(text: string): string {
  return text.replace(obeyed, '\u{fffd}')
}

/** `printable`, on one line: for a cell of a table. */
export function printableLine(text: string): string {
  return printable(text).replace(/\s+/g, ' ').trim()
}
