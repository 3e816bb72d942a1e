import { constants, copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostTimeNs } from '../guest/agent-link.ts'
import type { Home } from '../state/home.ts'
import type { Components } from './components.ts'
import { loadMachine } from './load-machine.ts'
import { jailPaths, type MachineSpec } from './machine.ts'
import { copyMemory, type PageRange } from './memory-file.ts'
import {
  deviceFile,
  diskFile,
  memoryFile,
  pagesFile,
  type Template,
  type TemplateOptions,
} from './template-files.ts'
import { TemplateMachine } from './template-machine.ts'
import { checkSpace } from './template-space.ts'
import { ensureStored, fingerprint, keyOf } from './template-store.ts'

export type MountRequest = {
  readonly home: Home
  readonly components: Components
  readonly spec: MachineSpec
  /** The boot template of `spec`. */
  readonly boot: Template
  readonly image: string
  readonly diskBase: string
  /** Makes an empty disk over `diskBase`. */
  readonly makeDisk: (path: string) => void
  /** Absolute paths of the image that its commands will read: they are in the boxes' page cache from the beginning. */
  readonly files: readonly string[]
  readonly options: TemplateOptions
}

/**
 * The template of new boxes of an image: a boot template whose guest has mounted the image and an empty disk, which is most of what a box does until
 * commands can run in it. It may be restored with a copy of the disk that lies in it, and with no other.
 *
 * Throws `engine_unavailable` when the guest cannot mount them, `storage_error` when there is no space.
 */
export async function ensureMountedTemplate(request: MountRequest): Promise<Template> {
  const { home, boot, image, diskBase, options } = request
  const key = keyOf({ boot: boot.key, image: fingerprint(image), diskBase: fingerprint(diskBase) })
  return ensureStored({ home, key, image, options }, staging => mount(request, staging))
}

/** Makes the disk of a box that is to be restored from a mounted template. */
export function copyDisk({ directory }: Template, path: string): void {
  copyFileSync(join(directory, diskFile), path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
}

const mountDeadlineMs = 10_000

async function mount(request: MountRequest, staging: string): Promise<void> {
  const { components, spec, boot, image, diskBase, makeDisk, files, options } = request
  // 1. A copy of the boot template, to go on from there.
  options.onProgress?.({ step: 'preparing a template of the image' })
  checkSpace(staging, spec.memoryMib)
  const pages: PageRange[] = JSON.parse(readFileSync(join(boot.directory, pagesFile), 'utf8'))
  await copyMemory(join(boot.directory, memoryFile), join(staging, memoryFile), pages)
  const disk = join(staging, diskFile)
  makeDisk(disk)
  // 2. The machine.
  await using machine = await TemplateMachine.spawn({
    components,
    spec,
    mode: { kind: 'continue' },
    grants: {
      readOnly: [
        { from: join(boot.directory, deviceFile), to: jailPaths.bootDevice },
        { from: image, to: jailPaths.image },
        { from: diskBase, to: jailPaths.diskBase },
      ],
      readWrite: [
        { from: staging, to: '/template' },
        { from: disk, to: jailPaths.disk },
      ],
    },
    signal: options.signal,
  })
  // 3. The guest mounts.
  await machine.within('mount the image', mountDeadlineMs, mountInGuest(machine, files))
  // 4. Save.
  await machine.save()
}

async function mountInGuest({ qmp, agent }: TemplateMachine, files: readonly string[]): Promise<void> {
  await loadMachine(qmp, jailPaths.bootDevice)
  agent.greet()
  // What is written to the disk bears this time.
  await Promise.all([agent.request('clock', { timeNs: hostTimeNs() }), agent.request('mount', { files })])
}
