import { Option } from 'commander'
import { parseDurationMs } from './duration.ts'

export type StopOptions = { readonly timeout?: number }

/** `-t`, as in Docker. */
export function stopTimeoutOption(): Option {
  return new Option(
    '-t, --timeout <TIME>',
    'how long processes may take to end before they are killed: 10 (the default), 500ms; 0 for at once',
  ).argParser(parseDurationMs)
}

export function stopOptions({ timeout }: StopOptions): { readonly timeoutMs?: number } {
  return timeout === undefined ? {} : { timeoutMs: timeout }
}
