import { closeSync, ftruncateSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomic } from '../state/atomic-file.ts'
import type { Components } from './components.ts'
import { buildInitramfs } from './initramfs.ts'
import { jailPaths, type MachineSpec } from './machine.ts'
import { findUsedPages } from './memory-file.ts'
import { memoryFile, pagesFile, type TemplateOptions } from './template-files.ts'
import { TemplateMachine } from './template-machine.ts'
import { checkSpace } from './template-space.ts'

export type BootRequest = {
  readonly components: Components
  readonly spec: MachineSpec
  /** A new directory that becomes the template. */
  readonly staging: string
  readonly options: TemplateOptions
}

// A cold boot takes 3 to 6 s of an idle core under emulation; a busy host of the smallest kind may need ten times that.
const bootDeadlineMs = 120_000

/** Boots the machine and saves memory and devices into `staging` at the moment its agent is ready. */
export async function bootTemplate({ components, spec, staging, options }: BootRequest): Promise<void> {
  // 1. What the machine boots from.
  options.onProgress?.({ step: 'preparing the boot template', detail: `kernel ${components.kernel.release}` })
  checkSpace(staging, spec.memoryMib)
  const initramfs = join(staging, 'initramfs')
  writeFileAtomic(initramfs, await buildInitramfs(components))
  createSparseFile(join(staging, memoryFile), spec.memoryMib * 1024 * 1024)
  // 2. The machine.
  options.onProgress?.({
    step: 'booting the template once',
    detail: `${spec.cpus} cpu, ${spec.memoryMib} MiB, ${spec.accelerator}`,
  })
  await bootAndSave({ components, spec, staging, options }, initramfs)
  // 3. What copies of it need to know, and what they do not need.
  const pages = await findUsedPages(join(staging, memoryFile))
  writeFileSync(join(staging, pagesFile), JSON.stringify(pages), { mode: 0o600 })
  rmSync(initramfs)
}

async function bootAndSave(
  { components, spec, staging, options }: BootRequest,
  initramfs: string,
): Promise<void> {
  await using machine = await TemplateMachine.spawn({
    components,
    spec,
    mode: { kind: 'boot' },
    grants: {
      readOnly: [
        { from: components.kernel.image, to: jailPaths.kernel },
        { from: initramfs, to: jailPaths.initramfs },
      ],
      readWrite: [{ from: staging, to: '/template' }],
    },
    signal: options.signal,
  })
  // 1. The agent says hello: kernel, modules and devices are up.
  await machine.within('boot the template', bootDeadlineMs, machine.agent.greeted)
  // 2. Save.
  options.onProgress?.({ step: 'saving the template' })
  await machine.qmp.execute('qmp_capabilities')
  await machine.save()
}

function createSparseFile(path: string, bytes: number): void {
  const descriptor = openSync(path, 'wx', 0o600)
  try {
    ftruncateSync(descriptor, bytes)
  } finally {
    closeSync(descriptor)
  }
}
