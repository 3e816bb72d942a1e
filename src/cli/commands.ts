import type { Command } from 'commander'
import type { Context } from './context.ts'

/** Adds a command to the program. */
export type AddCommand = (program: Command, context: Context) => void

/** By name, in the order in which help lists them. */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  run: async () => (await import('./commands/run.ts')).addRun,
  create: async () => (await import('./commands/create.ts')).addCreate,
  start: async () => (await import('./commands/start.ts')).addStart,
  stop: async () => (await import('./commands/stop.ts')).addStop,
  restart: async () => (await import('./commands/restart.ts')).addRestart,
  pause: async () => (await import('./commands/pause.ts')).addPause,
  unpause: async () => (await import('./commands/unpause.ts')).addUnpause,
  exec: async () => (await import('./commands/exec.ts')).addExec,
  attach: async () => (await import('./commands/attach.ts')).addAttach,
  kill: async () => (await import('./commands/kill.ts')).addKill,
  executions: async () => (await import('./commands/executions.ts')).addExecutions,
  top: async () => (await import('./commands/top.ts')).addTop,
  wait: async () => (await import('./commands/wait.ts')).addWait,
  events: async () => (await import('./commands/events.ts')).addEvents,
  ps: async () => (await import('./commands/ps.ts')).addPs,
  inspect: async () => (await import('./commands/inspect.ts')).addInspect,
  rm: async () => (await import('./commands/rm.ts')).addRm,
  prune: async () => (await import('./commands/prune.ts')).addPrune,
  logs: async () => (await import('./commands/logs.ts')).addLogs,
  pull: async () => (await import('./commands/pull.ts')).addPull,
  push: async () => (await import('./commands/push.ts')).addPush,
  images: async () => (await import('./commands/images.ts')).addImages,
  rmi: async () => (await import('./commands/rmi.ts')).addRmi,
  tag: async () => (await import('./commands/tag.ts')).addTag,
  history: async () => (await import('./commands/history.ts')).addHistory,
  commit: async () => (await import('./commands/commit.ts')).addCommit,
  load: async () => (await import('./commands/load.ts')).addLoad,
  save: async () => (await import('./commands/save.ts')).addSave,
  'import-rootfs': async () => (await import('./commands/import-rootfs.ts')).addImportRootfs,
  login: async () => (await import('./commands/login.ts')).addLogin,
  logout: async () => (await import('./commands/logout.ts')).addLogout,
  system: async () => (await import('./commands/system.ts')).addSystem,
  doctor: async () => (await import('./commands/doctor.ts')).addDoctor,
  setup: async () => (await import('./commands/setup.ts')).addSetup,
  version: async () => (await import('./commands/version.ts')).addVersion,
}

/** The command that a command line names; all of them if it names none. Each file that need not be loaded is time before the first output. */
export async function loadCommands(commandLine: readonly string[]): Promise<AddCommand[]> {
  const name = nameOf(commandLine)
  const load = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load !== undefined) return [await load()]
  return Promise.all(Object.values(commands).map(loadEach => loadEach()))
}

/** The first word that is neither an option of the program nor the value of one. */
function nameOf(commandLine: readonly string[]): string | undefined {
  const at = commandLine.findIndex(
    (word, index) => !word.startsWith('-') && commandLine[index - 1] !== '--home',
  )
  return commandLine[at]
}
