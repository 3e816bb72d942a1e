/** Spawns a jailed QEMU that has nothing to run, says so, and waits to be killed: `vmm.fixture.ts NAME`. */
import { findProgram, findQemu } from '../../src/vm/components.ts'
import { Vmm } from '../../src/vm/vmm.ts'

const [name = ''] = process.argv.slice(2)
const command = {
  qemu: findQemu(),
  bubblewrap: findProgram('bwrap', 'bubblewrap'),
  arguments: ['-name', name, '-M', 'none', '-nodefaults', '-display', 'none', '-S'],
  grants: { readOnly: [], readWrite: [], devices: [] },
}
process.stdout.write('spawning\n')
const vmm = await Vmm.spawn(command)
await vmm.exited
