import { jailPaths, machineArguments, machineDevices } from '../vm/machine.ts'
import { Vmm } from '../vm/vmm.ts'
import type { Launch } from './launch.ts'

/** Spawns the VMM of a box: it waits to be told to restore the template. */
export function spawnRestored(launch: Launch, templateDirectory: string): Promise<Vmm> {
  return Vmm.spawn({
    bubblewrap: launch.bubblewrap,
    qemu: launch.qemu,
    // The name is for whoever looks at the host's processes.
    arguments: ['-name', `coffer-${launch.boxId}`, ...machineArguments(launch.spec, { kind: 'restore' })],
    grants: {
      readOnly: [
        { from: templateDirectory, to: '/template' },
        { from: launch.image, to: jailPaths.image },
        { from: launch.diskBase, to: jailPaths.diskBase },
      ],
      readWrite: [{ from: launch.disk, to: jailPaths.disk }],
      devices: machineDevices(launch.spec.accelerator),
    },
  })
}
