import { readFileSync } from 'node:fs'
import type { Home } from '../state/home.ts'
import { bootTemplate } from './boot-template.ts'
import type { Components } from './components.ts'
import { type MachineSpec, machineArguments } from './machine.ts'
import { requireQemuVersion } from './qemu-version.ts'
import type { Template, TemplateOptions } from './template-files.ts'
import { ensureStored, fingerprint, keyOf } from './template-store.ts'

/**
 * The boot template for `spec`, made now if there is none: a machine whose agent waits for its configuration.
 * Throws `engine_unavailable` with the end of the console when the machine does not come up.
 */
export async function ensureTemplate(
  home: Home,
  components: Components,
  spec: MachineSpec,
  options: TemplateOptions = {},
): Promise<Template> {
  return ensureStored({ home, key: templateKey(components, spec), options }, async staging => {
    await requireQemuVersion(components.qemu)
    await bootTemplate({ components, spec, staging, options })
  })
}

/** Raised when templates of older versions cannot be restored any more for a reason the key does not see. */
const templateFormat = 2

function templateKey(components: Components, spec: MachineSpec): string {
  return keyOf({
    templateFormat,
    spec,
    boot: machineArguments(spec, { kind: 'boot' }),
    restore: machineArguments(spec, { kind: 'restore' }),
    files: [components.qemu, components.kernel.image, components.kernel.modules, components.agent].map(
      fingerprint,
    ),
    // The processor of a template must be the one it is restored on, and with KVM that is the host's.
    host: spec.accelerator === 'kvm' ? hostProcessor() : '',
  })
}

function hostProcessor(): string {
  const [processor = ''] = readFileSync('/proc/cpuinfo', 'utf8').split('\n\n')
  return processor
    .split('\n')
    .filter(line => /^(model name|flags|microcode|stepping)/.test(line))
    .join('\n')
}
