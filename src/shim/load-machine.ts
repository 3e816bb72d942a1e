import { jailPaths } from '../vm/machine.ts'
import type { Qmp } from '../vm/qmp.ts'

/** Has QEMU load the template. Sent at once and carried out in order; the machine was saved running, so it runs when it is loaded. */
export async function loadMachine(qmp: Qmp): Promise<void> {
  await Promise.all([
    qmp.execute('qmp_capabilities'),
    qmp.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'x-ignore-shared', state: true }],
    }),
    qmp.execute('migrate-incoming', { uri: `file:${jailPaths.device}` }),
  ])
}
