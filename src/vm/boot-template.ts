import { closeSync, ftruncateSync, openSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { CofferError, isCofferError } from '../errors.ts'
import { FrameDecoder } from '../guest/frame.ts'
import type { Hello } from '../guest/messages.ts'
import { parseHello } from '../guest/parse.ts'
import { frameTypes } from '../guest/protocol.ts'
import { writeFileAtomic } from '../state/atomic-file.ts'
import type { Components } from './components.ts'
import { ConsoleTail } from './console.ts'
import { buildInitramfs } from './initramfs.ts'
import { jailPaths, type MachineSpec, machineArguments, machineDevices } from './machine.ts'
import { Qmp, type QmpEvent } from './qmp.ts'
import { deviceFile, memoryFile, type TemplateOptions } from './template-files.ts'
import { Vmm, type VmmExit } from './vmm.ts'

export type BootRequest = {
  readonly components: Components
  readonly spec: MachineSpec
  /** A new directory that becomes the template. */
  readonly staging: string
  readonly options: TemplateOptions
}

// A cold boot takes 3 to 6 s of an idle core under emulation; a busy host of the smallest kind may need ten times that.
const bootDeadlineMs = 120_000
const saveDeadlineMs = 30_000
/** Beside the guest's memory: initramfs, device state, and what else is written meanwhile. */
const leastFreeMib = 64

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
  const vmm = await Vmm.spawn({
    bubblewrap: components.bubblewrap,
    qemu: components.qemu,
    arguments: machineArguments(spec, { kind: 'boot' }),
    grants: {
      readOnly: [
        { from: components.kernel.image, to: jailPaths.kernel },
        { from: initramfs, to: jailPaths.initramfs },
      ],
      readWrite: [{ from: staging, to: '/template' }],
      devices: machineDevices(spec.accelerator),
    },
  })
  const console = new ConsoleTail(vmm.console)
  const migration = Promise.withResolvers<void>()
  const qmp = new Qmp(vmm.qmp, event => settleMigration(event, migration))
  migration.promise.catch(() => {})
  try {
    // 3. The agent says hello: kernel, modules and devices are up.
    await raceBoot({
      vmm,
      console,
      options,
      deadlineMs: bootDeadlineMs,
      step: 'boot the template',
      task: firstHello(vmm),
    })
    // 4. Save. The guest runs until the last moment, so that it also runs on when it is restored.
    options.onProgress?.({ step: 'saving the template' })
    await raceBoot({
      vmm,
      console,
      options,
      deadlineMs: saveDeadlineMs,
      step: 'save the template',
      task: save(qmp, migration.promise),
    })
  } finally {
    await vmm.kill()
  }
}

async function save(qmp: Qmp, migrated: Promise<void>): Promise<void> {
  await qmp.execute('qmp_capabilities')
  const capabilities = ['x-ignore-shared', 'events'].map(capability => ({ capability, state: true }))
  await qmp.execute('migrate-set-capabilities', { capabilities })
  await qmp.execute('migrate', { uri: `file:/template/${deviceFile}` })
  await migrated
}

function settleMigration(event: QmpEvent, migration: PromiseWithResolvers<void>): void {
  if (event.event !== 'MIGRATION') return
  if (event.data['status'] === 'completed') migration.resolve()
  if (event.data['status'] === 'failed')
    migration.reject(
      new CofferError('engine_unavailable', 'QEMU could not save the template: the migration failed'),
    )
}

function firstHello(vmm: Vmm): Promise<Hello> {
  return new Promise((resolve, reject) => {
    const decoder = new FrameDecoder()
    vmm.agent.on('data', (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk))
          if (frame.type === frameTypes.hello) resolve(parseHello(frame.payload))
      } catch (error) {
        reject(error)
      }
    })
  })
}

type Race<T> = {
  readonly vmm: Vmm
  readonly console: ConsoleTail
  readonly options: TemplateOptions
  readonly deadlineMs: number
  readonly step: string
  readonly task: Promise<T>
}

/** The task, or the death of the VMM, or the deadline, or the caller's signal: whichever comes first. */
async function raceBoot<T>(race: Race<T>): Promise<T> {
  const end = new AbortController()
  const signal =
    race.options.signal === undefined ? end.signal : AbortSignal.any([end.signal, race.options.signal])
  const timer = setTimeout(() => end.abort(timedOut(race)), race.deadlineMs)
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  const died = race.vmm.exited.then(exit => {
    throw diedEarly(race, exit)
  })
  try {
    return await Promise.race([race.task, died, aborted])
  } catch (error) {
    // A broken connection is the first sign of a death, its cause comes a moment later.
    if (isCofferError(error, 'engine_unavailable'))
      await Promise.race([died, new Promise(resolve => setTimeout(resolve, 200))])
    throw error
  } finally {
    clearTimeout(timer)
    died.catch(() => {})
    aborted.catch(() => {})
  }
}

function timedOut(race: Race<unknown>): CofferError {
  return new CofferError(
    'engine_unavailable',
    `cannot ${race.step}: the guest did not answer within ${race.deadlineMs / 1000} s`,
    {
      hint: 'The end of its console is in the details (--debug). COFFER_ACCEL=tcg rules out the hardware accelerator.',
      details: { console: race.console.text },
    },
  )
}

function diedEarly(race: Race<unknown>, exit: VmmExit): CofferError {
  const how = exit.signal === undefined ? `exit code ${exit.code}` : `signal ${exit.signal}`
  const words = exit.stderr.trim() || race.console.text.trim().split('\n').slice(-5).join('\n')
  return new CofferError(
    'engine_unavailable',
    `cannot ${race.step}: QEMU ended with ${how}${words === '' ? '' : `\n${words}`}`,
    {
      hint: 'Run: coffer doctor',
      details: { console: race.console.text, stderr: exit.stderr },
    },
  )
}

/** A full disk would end QEMU with SIGBUS when the guest touches its memory, which tells nobody what to do. */
function checkSpace(directory: string, memoryMib: number): void {
  const { bavail, bsize } = statfsSync(directory)
  const freeMib = Math.floor((bavail * bsize) / 1024 ** 2)
  const neededMib = memoryMib + leastFreeMib
  if (freeMib >= neededMib) return
  throw new CofferError(
    'storage_error',
    `cannot make the boot template: ${freeMib} MiB are free at ${directory}, ${neededMib} are needed`,
    {
      hint: 'Free some space there, or use a home on another disk (--home).',
      details: { freeMib, neededMib },
    },
  )
}

function createSparseFile(path: string, bytes: number): void {
  const descriptor = openSync(path, 'wx', 0o600)
  try {
    ftruncateSync(descriptor, bytes)
  } finally {
    closeSync(descriptor)
  }
}
