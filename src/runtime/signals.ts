import { constants } from 'node:os'
import { invalid, show } from './validate.ts'

const lastSignal = 64

/** The number of a signal given as number or name (`SIGTERM`, `term`). Throws `invalid_argument`. */
export function signalNumber(signal: number | string): number {
  if (typeof signal === 'number') {
    if (Number.isInteger(signal) && signal >= 1 && signal <= lastSignal) return signal
    throw invalid('signal', `must be from 1 to ${lastSignal}, not ${show(signal)}`)
  }
  if (/^\d+$/.test(signal)) return signalNumber(Number(signal))
  const name = signal.toUpperCase().replace(/^(?!SIG)/, 'SIG')
  const number = constants.signals[name as NodeJS.Signals]
  if (number === undefined)
    throw invalid('signal', `${show(signal)} is not a signal`, 'Use a number, or a name such as SIGTERM.')
  return number
}

/** `SIGKILL` for 9; `SIG35` for what has no name. */
export function signalName(number: number): string {
  return Object.entries(constants.signals).find(entry => entry[1] === number)?.[0] ?? `SIG${number}`
}
