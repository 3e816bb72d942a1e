import { createInterface } from 'node:readline/promises'

/** Whether there is somebody to ask: a terminal to read from and one to write to. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** Asks on the terminal. Anything but a yes is a no, the end of the input too. */
export async function confirm(question: string): Promise<boolean> {
  // Not as a terminal: a Ctrl-C then ends this process, as it does everywhere else.
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  const closed = Promise.withResolvers<undefined>()
  lines.once('close', () => closed.resolve(undefined))
  const answer = await Promise.race([lines.question(`${question} [y/N] `), closed.promise])
  lines.close()
  // Nobody has ended the line of the question.
  if (answer === undefined) process.stderr.write('\n')
  return /^y(es)?$/i.test(answer?.trim() ?? '')
}
