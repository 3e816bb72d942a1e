import type { Command } from 'commander'

/** Puts command lines to copy at the end of a command's help. */
export function addExamples(command: Command, ...lines: readonly string[]): Command {
  const title = lines.length === 1 ? 'Example:' : 'Examples:'
  return command.addHelpText('after', ['', title, ...lines.map(line => `  ${line}`)].join('\n'))
}
