import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ensureBaseDisk } from '../disk/base-disk.ts'
import { CofferError, systemErrorCode } from '../errors.ts'
import type { Failure } from '../guest/messages.ts'
import { Session } from '../guest/session.ts'
import type { Image } from '../image/images.ts'
import { crashError, readCrashReport } from '../shim/crash-report.ts'
import { type MainProcess, shimFiles } from '../shim/launch.ts'
import type { RestartRecord } from '../shim/restart-policy.ts'
import { writeFileAtomic } from '../state/atomic-file.ts'
import { faultPoint } from '../state/fault-point.ts'
import type { Home } from '../state/home.ts'
import { packageVersion } from '../version.ts'
import { chooseAccelerator } from '../vm/accelerator.ts'
import { findComponents } from '../vm/components.ts'
import type { MachineSpec } from '../vm/machine.ts'
import { ensureTemplate } from '../vm/template.ts'
import type { BoxConfig } from './box-config.ts'
import { makeBoxDisk } from './box-disk.ts'
import { commonFiles } from './common-files.ts'
import { firstTemplate } from './first-template.ts'
import { guestConfiguration } from './guest-configuration.ts'
import type { StartOptions } from './options.ts'
import { policyOf } from './policy-options.ts'
import { boxLockPath } from './remove-box.ts'
import type { ShimProcess } from './shim-process.ts'
import type { SpareShim } from './spare-shim.ts'

export type Starting = StartOptions & {
  readonly image: Image
  readonly main?: MainProcess | undefined
  /** What the box is started for, if that is not its main process. */
  readonly command?: string | undefined
  /** Counted so far, when a policy and not a user asks for the start. */
  readonly restarts?: RestartRecord | undefined
}

export type BoxPlace = {
  readonly spare: SpareShim
  readonly home: Home
  readonly id: string
  readonly name: string | undefined
  /** How messages name the box: its name, else its id. */
  readonly label: string
  readonly directory: string
  readonly config: BoxConfig
}

/**
 * Starts a box that does not run; the caller holds its lock. Returns when commands can be run in it.
 * Throws `engine_unavailable` with a crash report, `config_error` for a component that is missing, `storage_error` for a full
 * disk; nothing of the attempt then stays but its logs.
 */
export async function startBox(
  place: BoxPlace,
  options: Starting,
): Promise<{ shim: ShimProcess; session: Session }> {
  const { home, config, directory } = place
  // 1. What every box of this kind shares.
  const components = findComponents()
  const { accelerator } = await chooseAccelerator(home, components)
  const spec: MachineSpec = { accelerator, cpus: config.cpus, memoryMib: config.memoryMib }
  const disk = join(directory, 'disk.qcow2')
  const isFirstStart = !existsSync(disk)
  const image = options.image.path
  const { diskBase, boot, mounted } = await guardStorage(place, async () => {
    const diskBase = await ensureBaseDisk(home, components.makeExt4, config.diskMib, options.signal)
    const boot = await ensureTemplate(home, components, spec, options)
    if (!isFirstStart) return { diskBase, boot, mounted: undefined }
    const files = commonFiles(options.image, options.main?.request.argv[0] ?? options.command)
    const request = { home, components, spec, boot, image, diskBase, files, options }
    return { diskBase, boot, mounted: await firstTemplate(request) }
  })
  // 2. What is this box's own.
  options.onProgress?.({ step: 'starting the box' })
  let shim: ShimProcess | undefined
  try {
    await guardStorage(place, () => {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      if (isFirstStart) makeBoxDisk(disk, { diskBase, mounted })
    })
    faultPoint('start: disk made')
    // 3. The shim, which starts the VM.
    shim = await guardStorage(place, () => place.spare.take())
    // By its starter, and before it knows its box: who looks for a shim under the box's lock then misses none that is on its way.
    writePidFile(place, shim)
    faultPoint('start: pid file written')
    shim.launch({
      boxId: place.id,
      directory,
      build: packageVersion(),
      detach: config.detach,
      spec,
      qemu: components.qemu,
      bubblewrap: components.bubblewrap,
      bootTemplate: boot.directory,
      mountedTemplate: mounted?.directory,
      image,
      disk,
      diskBase,
      guest: guestConfiguration(config, options.image),
      name: place.name,
      database: home.database,
      lock: boxLockPath(home, place.id),
      policy: policyOf(config, options.image),
      restarts: options.restarts,
      main: options.main,
    })
    faultPoint('start: shim launched')
    // The connection is made while the guest comes up; when that fails, the crash report says more than the connection.
    const connecting = connect(shim, directory)
    connecting.catch(() => {})
    await waitUntilReady(place, shim, options.signal)
    return { shim, session: await connecting }
  } catch (error) {
    if (isFirstStart) rmSync(disk, { force: true })
    // The disk must have no other user when the box is started again.
    await shim?.end()
    // A shim that was killed could not remove them itself.
    for (const name of [shimFiles.pid, shimFiles.socket]) rmSync(join(directory, name), { force: true })
    throw error
  }
}

function writePidFile({ id, directory }: BoxPlace, { identity }: ShimProcess): void {
  if (identity === undefined) return
  writeFileAtomic(join(directory, shimFiles.pid), JSON.stringify({ ...identity, boxId: id }))
}

async function connect(shim: ShimProcess, directory: string): Promise<Session> {
  await shim.listening
  return Session.connect(join(directory, shimFiles.socket), packageVersion())
}

async function waitUntilReady(
  place: BoxPlace,
  shim: ShimProcess,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Disposing hangs up, which ends an attached shim; a detached one is not ready yet and ends just so when its start is given up.
  const abort = (): void => shim[Symbol.dispose]()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await shim.ready
  } catch {
    shim[Symbol.dispose]()
    if (signal?.aborted)
      throw new CofferError('aborted', `the start of box ${place.label} was given up`, {
        cause: signal.reason,
      })
    const report = readCrashReport(place.directory)
    const { mainFailure, message = '' } = report.record ?? {}
    if (mainFailure !== undefined) throw mainError(place.label, message, mainFailure)
    throw crashError(`cannot start box ${place.label}`, report)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

function mainError(label: string, message: string, { kind, stage, errno }: Failure): CofferError {
  return new CofferError('execution_failed', `cannot start box ${label}: ${message}`, {
    hint: 'It is the main process of the box; create the box again with another command.',
    details: { kind, stage, errno },
  })
}

async function guardStorage<T>(place: BoxPlace, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new CofferError(
        'storage_error',
        `cannot start box ${place.label}: no space left in ${place.home.path}`,
        {
          hint: 'Free some space there, or use a home on another disk (--home).',
          cause: error,
        },
      )
    if (code === 'EACCES' || code === 'EROFS' || code === 'ENOENT')
      throw new CofferError('storage_error', `cannot start box ${place.label}: ${(error as Error).message}`, {
        cause: error,
      })
    throw error
  }
}
