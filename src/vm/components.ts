import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CofferError } from '../errors.ts'

/** The programs and files a box is made of, as found on this host. All paths are absolute. */
export type Components = {
  readonly qemu: string
  readonly bubblewrap: string
  readonly makeExt4: string
  readonly kernel: KernelComponent
  readonly agent: string
  readonly busybox: string
}

export type KernelComponent = {
  /** The bootable image (vmlinuz). */
  readonly image: string
  /** The content of /lib/modules/RELEASE. */
  readonly modules: string
  /** `uname -r`. */
  readonly release: string
}

/**
 * Finds every component, without running one. Throws `config_error` naming the first that is missing; `coffer doctor` names
 * all.
 */
export function findComponents(): Components {
  return {
    qemu: findQemu(),
    bubblewrap: findProgram('bwrap', 'bubblewrap'),
    makeExt4: findProgram('mke2fs', 'e2fsprogs'),
    kernel: findKernel(),
    agent: findBuilt('coffer-agent', 'the guest agent'),
    busybox: findBuilt('busybox', 'the busybox of the built-in image'),
  }
}

export const qemuName = 'qemu-system-x86_64'

/** `COFFER_QEMU` names another QEMU than the one in PATH. */
export function findQemu(): string {
  const chosen = process.env['COFFER_QEMU']
  if (chosen === undefined || chosen === '') return findProgram(qemuName, 'qemu-system-x86')
  if (isExecutable(chosen)) return chosen
  throw missing(
    `COFFER_QEMU is ${chosen}, which is no program`,
    'Point it at a QEMU of at least version 8.2, or unset it.',
  )
}

/** Where `scripts/setup.sh` puts what it makes: `COFFER_BUILD_DIR`, else `build/` of the package. */
export function buildDirectory(): string {
  return process.env['COFFER_BUILD_DIR'] || join(packageRoot(), 'build')
}

/** The directory of package.json: this file is two levels below it, in src/ and in dist/. */
export function packageRoot(): string {
  return dirname(dirname(dirname(fileURLToPath(import.meta.url))))
}

export function findKernel(): KernelComponent {
  const directory = join(buildDirectory(), 'kernel')
  const kernel = { image: join(directory, 'vmlinuz'), modules: join(directory, 'modules') }
  for (const path of [kernel.image, kernel.modules, join(directory, 'release')]) {
    if (!existsSync(path)) throw missing(`kernel image missing at ${path}`, 'Run: coffer setup')
    if (!isReadable(path))
      throw missing(`kernel at ${path} cannot be read`, `Run: chmod -R a+rX ${directory}`)
  }
  return { ...kernel, release: readFileSync(join(directory, 'release'), 'utf8').trim() }
}

export function findBuilt(name: string, what: string): string {
  const path = join(buildDirectory(), name)
  if (!existsSync(path)) throw missing(`${what} is missing at ${path}`, 'Run: coffer setup')
  if (!isReadable(path)) throw missing(`${what} at ${path} cannot be read`, `Run: chmod a+r ${path}`)
  return path
}

/** `sbin` directories are not in an ordinary user's PATH on Debian, and mke2fs lies there. */
export function findProgram(name: string, debianPackage: string): string {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin']
  for (const directory of directories) {
    if (!directory.startsWith('/')) continue
    const path = join(directory, name)
    if (isExecutable(path)) return path
  }
  throw missing(`${name} is not installed`, `Run: coffer setup (it needs the package ${debianPackage})`)
}

function isExecutable(path: string): boolean {
  return isAccessible(path, constants.X_OK) && statSync(path).isFile()
}

function isReadable(path: string): boolean {
  return isAccessible(path, constants.R_OK)
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

function missing(problem: string, remedy: string): CofferError {
  return new CofferError('config_error', problem, { hint: remedy })
}
