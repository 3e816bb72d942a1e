export type RunTarget = { readonly image: string | undefined; readonly command: readonly string[] }

/**
 * Tells `run IMAGE CMD…` and `run IMAGE -- CMD…` from `run -- CMD…`, where the parser has dropped the `--`. The
 * operands are the end of the command line word for word, so a dropped `--` is the word just before them.
 */
export function splitRun(commandLine: readonly string[], operands: readonly string[]): RunTarget {
  const beforeOperands = commandLine[commandLine.length - operands.length - 1]
  if (beforeOperands === '--') return { image: undefined, command: operands }
  const [image, ...command] = operands
  return { image, command: withoutSeparator(command) }
}

export function withoutSeparator(command: readonly string[]): readonly string[] {
  return command[0] === '--' ? command.slice(1) : command
}
