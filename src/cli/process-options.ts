import { type Command, Option } from 'commander'
import type { ExecOptions, Rlimit } from '../runtime/options.ts'
import { type DetachKeys, defaultDetachKeys, parseDetachKeys } from './detach-keys.ts'
import { parseDurationMs } from './duration.ts'
import { readEnvironment } from './environment.ts'
import { collectRlimit } from './rlimit.ts'
import { requireTerminal, terminalSize } from './terminal.ts'

/** How a command runs in a box: the flags that `run` and `exec` have in common. */
export type ProcessOptions = {
  readonly env?: readonly string[]
  readonly envFile?: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly interactive?: boolean
  readonly tty?: boolean
  readonly timeout?: number
  readonly rlimit?: Readonly<Record<string, Rlimit>>
  readonly detach?: boolean
  readonly detachKeys: DetachKeys
}

export function addProcessOptions(command: Command): Command {
  return command
    .option('-e, --env <KEY[=VALUE]>', 'set a variable, or pass it on from here; repeatable', collect)
    .option('--env-file <FILE>', 'read variables from a file, one on each line; repeatable', collect)
    .option('-w, --workdir <DIR>', 'directory in the box to run in')
    .option('-u, --user <USER>', 'user in the box: NAME|UID[:GROUP|GID]')
    .option('-i, --interactive', 'pass standard input on to the command')
    .option('-t, --tty', 'give the command a terminal')
    .option('--timeout <TIME>', 'kill the command after this time: 10, 500ms, 2m', parseDurationMs)
    .option('--rlimit <NAME=SOFT[:HARD]>', 'limit a resource, such as nofile=1024; repeatable', collectRlimit)
    .addOption(detachKeysOption())
}

export function detachKeysOption(): Option {
  return new Option('--detach-keys <KEYS>', "on a terminal: keys that leave the command running; '' for none")
    .argParser(parseDetachKeys)
    .default(parseDetachKeys(defaultDetachKeys), defaultDetachKeys)
}

/** The library's options for one execution. */
export function executionOptions(options: ProcessOptions): ExecOptions {
  // A command that nobody looks at yet gets the size of the terminal of whoever attaches to it.
  if (options.tty === true && options.detach !== true) requireTerminal()
  const terminal = options.tty === true ? terminalEnvironment() : {}
  return {
    env: { ...terminal, ...readEnvironment(options.env, options.envFile) },
    ...(options.workdir === undefined ? {} : { cwd: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.tty === true ? { tty: terminalSize() } : {}),
    ...(options.interactive === true ? { stdin: 'pipe' } : {}),
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    ...(options.rlimit === undefined ? {} : { rlimits: options.rlimit }),
    ...(options.detach === true ? { detach: true } : {}),
  }
}

/** As at a login: programs look at TERM, and the box cannot know this terminal. */
export function terminalEnvironment(): Readonly<Record<string, string>> {
  return { TERM: process.env['TERM'] || 'xterm' }
}

/** For an option that may be given several times. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}
