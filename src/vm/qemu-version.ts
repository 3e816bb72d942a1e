import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { CofferError } from '../errors.ts'

/** Read-only memory files for the guest (`readonly=on,rom=off`) came with this one. */
const leastVersion = [8, 2] as const

/** The version as QEMU prints it. Throws `config_error` when it does not run or does not say. */
export async function readQemuVersion(path: string): Promise<string> {
  const run = promisify(execFile)
  let printed: string
  try {
    printed = (await run(path, ['--version'], { timeout: 10_000 })).stdout
  } catch (cause) {
    throw new CofferError(
      'config_error',
      `${path} does not run: ${cause instanceof Error ? cause.message : cause}`,
      {
        hint: 'Install QEMU again: coffer setup',
        cause,
      },
    )
  }
  const version = /version (\d+\.\d+(?:\.\d+)?)/.exec(printed)?.[1]
  if (version === undefined)
    throw new CofferError('config_error', `${path} is no QEMU: it does not say its version`)
  return version
}

/** Throws `config_error` when QEMU is too old. */
export async function requireQemuVersion(path: string): Promise<string> {
  const version = await readQemuVersion(path)
  if (!isSupportedQemu(version))
    throw new CofferError(
      'config_error',
      `QEMU ${version} at ${path} is too old: ${leastVersion.join('.')} is the least`,
      {
        hint: 'Run: coffer setup (on Debian 12 it takes QEMU from bookworm-backports)',
        details: { version },
      },
    )
  return version
}

export function isSupportedQemu(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > leastVersion[0] || (major === leastVersion[0] && minor >= leastVersion[1])
}
