import { execFile } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { promisify } from 'node:util'
import { CofferError } from '../errors.ts'
import { openHome } from '../state/home.ts'
import { chooseAccelerator } from '../vm/accelerator.ts'
import { findBuilt, findKernel, findProgram, findQemu } from '../vm/components.ts'
import { requireQemuVersion } from '../vm/qemu-version.ts'

/** One thing a box needs, as found on this host. */
export type ComponentReport = {
  readonly name: string
  readonly ok: boolean
  readonly version?: string
  readonly path?: string
  /** What is wrong, when `ok` is false; what is worth knowing, when it is true. */
  readonly problem?: string
  /** The command that mends it. */
  readonly remedy?: string
}

const leastFreeBytes = 2 * 1024 ** 3

/** Looks at everything a box needs. Never throws: what is wrong is in the reports. */
export async function inspectHost(homePath?: string): Promise<ComponentReport[]> {
  return Promise.all([
    inspect('node', async () => ({ version: process.versions.node, path: process.execPath })),
    inspect('qemu', async () => {
      const path = findQemu()
      return { path, version: await requireQemuVersion(path) }
    }),
    inspect('bubblewrap', async () => inspectBubblewrap(findProgram('bwrap', 'bubblewrap'))),
    inspect('mke2fs', async () => inspectMakeExt4(findProgram('mke2fs', 'e2fsprogs'))),
    inspect('guest kernel', async () => {
      const kernel = findKernel()
      return { version: kernel.release, path: kernel.image }
    }),
    inspect('guest agent', async () => ({ path: findBuilt('coffer-agent', 'the guest agent') })),
    inspect('busybox', async () => ({ path: findBuilt('busybox', 'the busybox of the built-in image') })),
    inspect('home', async () => inspectHome(homePath)),
    inspect('accelerator', async () => {
      const { accelerator, reason } = await chooseAccelerator(openHome(homePath), {
        qemu: findQemu(),
        bubblewrap: findProgram('bwrap', 'bubblewrap'),
      })
      return { version: accelerator, problem: reason }
    }),
  ])
}

async function inspect(
  name: string,
  look: () => Promise<Partial<ComponentReport>>,
): Promise<ComponentReport> {
  try {
    return { name, ok: true, ...(await look()) }
  } catch (error) {
    if (!(error instanceof CofferError)) return { name, ok: false, problem: String(error) }
    return {
      name,
      ok: false,
      problem: error.message,
      ...(error.hint === undefined ? {} : { remedy: error.hint }),
    }
  }
}

async function inspectBubblewrap(path: string): Promise<Partial<ComponentReport>> {
  const version = (await run(path, ['--version'])).stdout.trim().replace(/^bubblewrap /, '')
  try {
    await run(path, ['--unshare-all', '--ro-bind', '/', '/', '/bin/true'])
  } catch (cause) {
    const words = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause)
    throw new CofferError('config_error', `bubblewrap ${version} cannot make namespaces: ${words}`, {
      hint: 'Allow them: sysctl kernel.unprivileged_userns_clone=1, and on Ubuntu sysctl kernel.apparmor_restrict_unprivileged_userns=0',
      cause,
    })
  }
  return { path, version }
}

async function inspectMakeExt4(path: string): Promise<Partial<ComponentReport>> {
  const { stderr } = await run(path, ['-V'])
  return { path, version: /mke2fs ([\d.]+)/.exec(stderr)?.[1] ?? 'unknown' }
}

async function inspectHome(homePath: string | undefined): Promise<Partial<ComponentReport>> {
  const { path } = openHome(homePath)
  const { bavail, bsize } = statfsSync(path)
  const freeBytes = bavail * bsize
  if (freeBytes < leastFreeBytes)
    throw new CofferError(
      'storage_error',
      `only ${Math.round(freeBytes / 1024 ** 2)} MiB are free at ${path}`,
      {
        hint: 'Free some space there, or use a home on another disk (--home).',
      },
    )
  return { path, version: `${Math.round(freeBytes / 1024 ** 3)} GiB free` }
}

const run = promisify(execFile)
