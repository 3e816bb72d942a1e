import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { syncDirectory, writeFileAtomic } from '../state/atomic-file.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { acquireLock } from '../state/lock.ts'
import { bootTemplate } from './boot-template.ts'
import type { Components } from './components.ts'
import { type MachineSpec, machineArguments } from './machine.ts'
import { requireQemuVersion } from './qemu-version.ts'
import { deviceFile, memoryFile, type TemplateOptions } from './template-files.ts'

/** A saved VM, its agent ready: what boxes of one machine specification are restored from. */
export type Template = {
  readonly key: string
  readonly directory: string
}

/**
 * The template for `spec`, made now if there is none. Several processes may ask at once: one builds, the others wait for it.
 * Throws `engine_unavailable` with the end of the console when the machine does not come up.
 */
export async function ensureTemplate(
  home: Home,
  components: Components,
  spec: MachineSpec,
  options: TemplateOptions = {},
): Promise<Template> {
  const key = templateKey(components, spec)
  const directory = join(home.templates, key)
  if (isWhole(directory, key)) return { key, directory }
  using _lock = await acquireLock(join(home.locks, `template-${key}`), {
    signal: options.signal,
    onWait: () =>
      options.onProgress?.({ step: 'waiting for another process that prepares the boot template' }),
  })
  if (isWhole(directory, key)) return { key, directory }
  await buildTemplate({ home, components, spec, key, directory, options })
  return { key, directory }
}

type Build = {
  readonly home: Home
  readonly components: Components
  readonly spec: MachineSpec
  readonly key: string
  readonly directory: string
  readonly options: TemplateOptions
}

async function buildTemplate(build: Build): Promise<void> {
  const staging = temporaryPath(build.home, `template-${build.key}`)
  try {
    // 1. Whatever stands in the place is torn or foreign.
    rmSync(build.directory, { recursive: true, force: true })
    mkdirSync(staging, { mode: 0o700 })
    // 2. Boot, and save when the agent is ready.
    await requireQemuVersion(build.components.qemu)
    await bootTemplate({ ...build, staging })
    // 3. The manifest comes last and makes it whole.
    for (const name of [memoryFile, deviceFile]) syncFile(join(staging, name))
    writeFileAtomic(join(staging, manifestFile), JSON.stringify(manifestOf(staging, build.key)), {
      durable: true,
    })
    renameSync(staging, build.directory)
    syncDirectory(build.home.templates)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

const manifestFile = 'template.json'

/** Raised when templates of older versions cannot be restored any more for a reason the key does not see. */
const templateFormat = 1

type Manifest = { readonly key: string; readonly memory: string; readonly deviceSha256: string }

function isWhole(directory: string, key: string): boolean {
  const path = join(directory, manifestFile)
  if (!existsSync(path)) return false
  try {
    const manifest: Partial<Manifest> = JSON.parse(readFileSync(path, 'utf8'))
    const actual = manifestOf(directory, key)
    return (
      manifest.key === key &&
      manifest.memory === actual.memory &&
      manifest.deviceSha256 === actual.deviceSha256
    )
  } catch {
    // Unreadable, unparsable, a file missing: not whole, for whatever reason.
    return false
  }
}

function manifestOf(directory: string, key: string): Manifest {
  const memory = statSync(join(directory, memoryFile), { bigint: true })
  return {
    key,
    // Hashing the memory would cost more than the restore: nothing but the build writes it, so its time tells.
    memory: `${memory.size}:${memory.mtimeNs}`,
    deviceSha256: createHash('sha256')
      .update(readFileSync(join(directory, deviceFile)))
      .digest('hex'),
  }
}

function templateKey(components: Components, spec: MachineSpec): string {
  const parts = {
    templateFormat,
    spec,
    boot: machineArguments(spec, { kind: 'boot' }),
    restore: machineArguments(spec, { kind: 'restore' }),
    files: [components.qemu, components.kernel.image, components.kernel.modules, components.agent].map(
      fingerprint,
    ),
    // The processor of a template must be the one it is restored on, and with KVM that is the host's.
    host: spec.accelerator === 'kvm' ? hostProcessor() : '',
  }
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)
}

/** Identity of a file's content without reading it. */
function fingerprint(path: string): string {
  const real = realpathSync(path)
  const { size, mtimeNs } = statSync(real, { bigint: true })
  return `${real}:${size}:${mtimeNs}`
}

function hostProcessor(): string {
  const [processor = ''] = readFileSync('/proc/cpuinfo', 'utf8').split('\n\n')
  return processor
    .split('\n')
    .filter(line => /^(model name|flags|microcode|stepping)/.test(line))
    .join('\n')
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
