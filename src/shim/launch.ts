import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import type { MachineSpec } from '../vm/machine.ts'

/** What the runtime tells the shim: all it needs to run one box, once. Written to `launch.json` in the box's directory. */
export type Launch = {
  readonly boxId: string
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
}

/** The part of the guest's configuration that is known before it runs; time and entropy are added at the last moment. */
export type GuestConfiguration = {
  readonly hostname: string
  readonly machineId: string
  readonly resolvConf: string
  readonly hosts: string
  readonly pidsMax: number
  readonly capabilities: readonly number[]
}

export const launchFile = 'launch.json'

/** Files of a box's directory that the shim makes. */
export const shimFiles = {
  socket: 'shim.sock',
  pid: 'shim.pid',
  exit: 'exit.json',
  console: 'console.log',
  log: 'shim.log',
} as const

/** Reads what the runtime of the same version wrote beside; a file of another version is refused. */
export function readLaunch(directory: string, build: string): Launch {
  const path = join(directory, launchFile)
  const launch: Launch = JSON.parse(readFileSync(path, 'utf8'))
  if (launch.build !== build)
    throw new CofferError('internal', `${path} was written by build ${launch.build}, this shim is ${build}`, {
      hint: 'Start the box again with the Coffer that is installed now.',
    })
  return launch
}
