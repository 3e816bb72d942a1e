import type { Command } from 'commander'
import type { Runtime } from '../runtime/runtime.ts'

/** What one run of the program shares with its command. */
export type Context = {
  /** The words after the program's name. */
  readonly commandLine: readonly string[]
  /** Set by the command: what the program exits with. */
  exitCode: number
}

export type GlobalOptions = { readonly home?: string; readonly debug?: boolean }

/** Opens the home that the options name, and closes it whatever `use` does. */
export async function withRuntime<Value>(
  options: GlobalOptions,
  use: (runtime: Runtime) => Promise<Value>,
): Promise<Value> {
  // Imported here because it loads the database and the engine, which `--help` and `version` do not need.
  const { Runtime } = await import('../runtime/runtime.ts')
  const home = homeOf(options)
  const runtime = await Runtime.open(home === undefined ? {} : { home })
  try {
    return await use(runtime)
  } finally {
    await runtime.shutdown()
  }
}

/** Undefined where the library's default holds. */
export function homeOf(options: GlobalOptions): string | undefined {
  return options.home || process.env['COFFER_HOME'] || undefined
}

export function globalOptionsOf(command: Command): GlobalOptions {
  return command.optsWithGlobals<GlobalOptions>()
}
