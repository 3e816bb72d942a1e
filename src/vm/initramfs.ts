import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Components } from './components.ts'
import { type CpioEntry, writeCpio } from './cpio.ts'
import { resolveModules, wantedModules } from './modules.ts'

/** The archive the kernel boots into: the agent as /init and the modules it loads, in the order of /modules/order. */
export async function buildInitramfs(components: Pick<Components, 'agent' | 'kernel'>): Promise<Buffer> {
  const modules = await resolveModules(components.kernel.modules, wantedModules)
  const order = modules.map(module => `${basename(module.path)}\n`).join('')
  const entries: CpioEntry[] = [
    { path: 'init', mode: 0o100755, content: readFileSync(components.agent) },
    // The kernel opens it as the standard streams of /init before anything could mount a /dev.
    { path: 'dev', mode: 0o040755 },
    { path: 'dev/console', mode: 0o020600, device: { major: 5, minor: 1 } },
    { path: 'modules', mode: 0o040755 },
    { path: 'modules/order', mode: 0o100644, content: Buffer.from(order) },
  ]
  for (const module of modules)
    entries.push({
      path: `modules/${basename(module.path)}`,
      mode: 0o100644,
      content: await readFile(module.path),
    })
  return writeCpio(entries)
}
