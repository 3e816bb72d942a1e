import { type Command, CommanderError } from 'commander'
import { loadCommands } from './commands.ts'
import type { Context } from './context.ts'
import { exitCodes } from './exit-codes.ts'
import { buildProgram } from './program.ts'
import { reportError } from './report-error.ts'
import { UsageError } from './usage-error.ts'

/** Runs one command line and returns the exit code, when all output is out. */
export async function main(commandLine: readonly string[]): Promise<number> {
  const debug = isDebug(commandLine)
  process.on('uncaughtException', error => process.exit(reportError(error, { debug })))
  // A reader that has gone, as `head` does, is no failure; attached commands look at it themselves.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  const exitCode = await runCommandLine(commandLine, debug)
  await Promise.all([flush(process.stdout), flush(process.stderr)])
  return exitCode
}

async function runCommandLine(commandLine: readonly string[], debug: boolean): Promise<number> {
  const context: Context = { commandLine, exitCode: exitCodes.ok }
  let failed: Command | undefined
  const program = buildProgram(context, await loadCommands(commandLine), (command, error) => {
    failed = command
    throw error
  })
  try {
    await program.parseAsync([...commandLine], { from: 'user' })
    return context.exitCode
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.ok
      // `coffer` alone: the help is printed already.
      if (error.code === 'commander.help') return exitCodes.usage
      return reportError(usageErrorOf(error, failed), { debug, usage: usageOf(failed) })
    }
    return reportError(error, { debug, usage: usageOf(namedCommand(program)) })
  }
}

function usageErrorOf(error: CommanderError, command: Command | undefined): UsageError {
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  const help = `see ${pathOf(command)} --help`
  return new UsageError(message, suggestion === undefined ? help : suggestion.replace(/^\((.*)\)$/, '$1'))
}

function usageOf(command: Command | undefined): string | undefined {
  return command === undefined ? undefined : `${pathOf(command)} ${command.usage()}`
}

function pathOf(command: Command | undefined): string {
  const path: string[] = []
  for (let each = command; each !== null && each !== undefined; each = each.parent ?? undefined)
    path.unshift(each.name())
  return path.join(' ') || 'coffer'
}

/** The command whose action has failed: each level keeps the name of the next as its first operand. */
function namedCommand(program: Command): Command | undefined {
  const command = program.commands.find(each => each.name() === program.args[0])
  return command === undefined ? undefined : (namedCommand(command) ?? command)
}

// Before the command line is parsed, because parsing can fail. Words after `--` belong to a command in a box.
function isDebug(commandLine: readonly string[]): boolean {
  const end = commandLine.indexOf('--')
  return commandLine.slice(0, end === -1 ? undefined : end).includes('--debug')
}

async function flush(stream: NodeJS.WriteStream): Promise<void> {
  if (!stream.writable) return
  await new Promise<void>(resolve => stream.write('', () => resolve()))
}
