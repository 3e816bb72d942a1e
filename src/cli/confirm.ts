import { ask } from './ask.ts'

/** Asks on the terminal. Anything but a yes is a no, the end of the input too. */
export async function confirm(question: string): Promise<boolean> {
  const answer = await ask(`${question} [y/N]`)
  return /^y(es)?$/i.test(answer?.trim() ?? '')
}
