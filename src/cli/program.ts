import { Command, Option } from 'commander'
import { packageVersion } from '../version.ts'
import type { AddCommand } from './commands.ts'
import type { Context } from './context.ts'

/** The command line with the given commands. `onFailure` gets the command whose use was wrong, to show how it is used. */
export function buildProgram(
  context: Context,
  commands: readonly AddCommand[],
  onFailure: (command: Command, error: Error) => never,
): Command {
  const program = new Command('coffer')
    .description('Runs code that nobody trusts in micro virtual machines.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .option('--home <DIR>', 'where boxes and images are kept (COFFER_HOME; default ~/.coffer)')
    .option('--debug', 'show the details of errors')
    // Without it, the options of the command in the box would be taken for our own.
    .enablePositionalOptions()
    // What is wrong is printed once, in the form of all our errors, by whoever catches it.
    .configureOutput({ outputError: () => {} })
  for (const add of commands) add(program, context)
  const subcommands = commandsBelow(program)
  for (const command of subcommands) {
    command.helpOption('-h, --help', 'show this help').helpCommand(false)
    // Global options after the command's name as well: people write them there.
    command.addOption(new Option('--home <DIR>').hideHelp()).addOption(new Option('--debug').hideHelp())
  }
  for (const command of [program, ...subcommands]) command.exitOverride(error => onFailure(command, error))
  return program
}

function commandsBelow(command: Command): Command[] {
  return command.commands.flatMap(each => [each, ...commandsBelow(each)])
}
