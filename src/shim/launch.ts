import type { ExecRequest, GuestConfiguration } from '../guest/messages.ts'
import type { MachineSpec } from '../vm/machine.ts'

/** What the runtime tells the shim: all it needs to run one box, once. A line of JSON on descriptor 3. */
export type Launch = {
  readonly boxId: string
  readonly directory: string
  readonly build: string
  /** Nobody's end ends the box; otherwise the hang-up of descriptor 3 does. */
  readonly detach: boolean
  readonly spec: MachineSpec
  readonly qemu: string
  readonly bubblewrap: string
  readonly templateDirectory: string
  readonly image: string
  readonly disk: string
  readonly diskBase: string
  readonly guest: GuestConfiguration
  /** The box's main process: its exit ends the box. */
  readonly main?: MainProcess | undefined
}

export type MainProcess = {
  readonly request: ExecRequest
  /** Start it when the first client has attached to it, so that this one misses no byte. */
  readonly waitForAttach: boolean
}

/** Files of a box's directory that the shim makes. */
export const shimFiles = {
  socket: 'shim.sock',
  pid: 'shim.pid',
  exit: 'exit.json',
  console: 'console.log',
  log: 'shim.log',
  output: 'output.log',
} as const
