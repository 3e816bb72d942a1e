import { Command, Option } from 'commander'
import { packageVersion } from '../version.ts'
import { addAttach } from './commands/attach.ts'
import { addCreate } from './commands/create.ts'
import { addDoctor } from './commands/doctor.ts'
import { addEvents } from './commands/events.ts'
import { addExec } from './commands/exec.ts'
import { addExecutions } from './commands/executions.ts'
import { addInspect } from './commands/inspect.ts'
import { addKill } from './commands/kill.ts'
import { addLogs } from './commands/logs.ts'
import { addPause } from './commands/pause.ts'
import { addPrune } from './commands/prune.ts'
import { addPs } from './commands/ps.ts'
import { addRestart } from './commands/restart.ts'
import { addRm } from './commands/rm.ts'
import { addRun } from './commands/run.ts'
import { addSetup } from './commands/setup.ts'
import { addStart } from './commands/start.ts'
import { addStop } from './commands/stop.ts'
import { addTop } from './commands/top.ts'
import { addUnpause } from './commands/unpause.ts'
import { addVersion } from './commands/version.ts'
import { addWait } from './commands/wait.ts'
import type { Context } from './context.ts'

const commands = [
  addRun,
  addCreate,
  addStart,
  addStop,
  addRestart,
  addPause,
  addUnpause,
  addExec,
  addAttach,
  addKill,
  addExecutions,
  addTop,
  addWait,
  addEvents,
  addPs,
  addInspect,
  addRm,
  addPrune,
  addLogs,
  addDoctor,
  addSetup,
  addVersion,
]

/** The whole command line. `onFailure` gets the command whose use was wrong, to show how it is used. */
export function buildProgram(
  context: Context,
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
  for (const command of program.commands) {
    command.helpOption('-h, --help', 'show this help')
    // Global options after the command's name as well: people write them there.
    command.addOption(new Option('--home <DIR>').hideHelp()).addOption(new Option('--debug').hideHelp())
  }
  for (const command of [program, ...program.commands])
    command.exitOverride(error => onFailure(command, error))
  return program
}
