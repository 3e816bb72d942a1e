import { InvalidArgumentError } from 'commander'
import { signalNumber } from '../runtime/signals.ts'

/** `9`, `KILL`, `sigkill`: the number, so that a signal that is none is an error of the command line. */
export function parseSignal(text: string): number {
  try {
    return signalNumber(text)
  } catch {
    throw new InvalidArgumentError('Expected a number from 1 to 64, or a name such as TERM.')
  }
}
