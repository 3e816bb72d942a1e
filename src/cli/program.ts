import { Command, Option } from 'commander'
import { packageVersion } from '../version.ts'
import { addAttach } from './commands/attach.ts'
import { addCommit } from './commands/commit.ts'
import { addCreate } from './commands/create.ts'
import { addDoctor } from './commands/doctor.ts'
import { addEvents } from './commands/events.ts'
import { addExec } from './commands/exec.ts'
import { addExecutions } from './commands/executions.ts'
import { addHistory } from './commands/history.ts'
import { addImages } from './commands/images.ts'
import { addImportRootfs } from './commands/import-rootfs.ts'
import { addInspect } from './commands/inspect.ts'
import { addKill } from './commands/kill.ts'
import { addLoad } from './commands/load.ts'
import { addLogin } from './commands/login.ts'
import { addLogout } from './commands/logout.ts'
import { addLogs } from './commands/logs.ts'
import { addPause } from './commands/pause.ts'
import { addPrune } from './commands/prune.ts'
import { addPs } from './commands/ps.ts'
import { addPull } from './commands/pull.ts'
import { addPush } from './commands/push.ts'
import { addRestart } from './commands/restart.ts'
import { addRm } from './commands/rm.ts'
import { addRmi } from './commands/rmi.ts'
import { addRun } from './commands/run.ts'
import { addSave } from './commands/save.ts'
import { addSetup } from './commands/setup.ts'
import { addStart } from './commands/start.ts'
import { addStop } from './commands/stop.ts'
import { addSystem } from './commands/system.ts'
import { addTag } from './commands/tag.ts'
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
  addPull,
  addPush,
  addImages,
  addRmi,
  addTag,
  addHistory,
  addCommit,
  addLoad,
  addSave,
  addImportRootfs,
  addLogin,
  addLogout,
  addSystem,
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
