import { jailPaths } from './machine.ts'
import type { Qmp } from './qmp.ts'

/** Has QEMU load the template. Sent at once and carried out in order; the machine was saved running, so it runs when it is loaded. */
export async function loadMachine(qmp: Qmp, device: string = jailPaths.device): Promise<void> {
  await Promise.all([
    qmp.execute('qmp_capabilities'),
    qmp.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'x-ignore-shared', state: true }],
    }),
    qmp.execute('migrate-incoming', { uri: `file:${device}` }),
  ])
}
