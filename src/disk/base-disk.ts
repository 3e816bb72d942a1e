import { execFile } from 'node:child_process'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { CofferError } from '../errors.ts'
import { syncDirectory } from '../state/atomic-file.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { acquireLock } from '../state/lock.ts'

/** The empty ext4 file system of a size, which the disks of all boxes of that size have as backing file. Made once. */
export async function ensureBaseDisk(
  home: Home,
  makeExt4: string,
  diskMib: number,
  signal?: AbortSignal,
): Promise<string> {
  const path = join(home.disks, `ext4-${diskMib}.img`)
  if (existsSync(path)) return path
  using _lock = await acquireLock(join(home.locks, `disk-${diskMib}`), { signal })
  if (!existsSync(path)) await makeBaseDisk(home, makeExt4, diskMib, path)
  return path
}

async function makeBaseDisk(home: Home, makeExt4: string, diskMib: number, path: string): Promise<void> {
  const staging = temporaryPath(home, 'ext4')
  try {
    const file = await open(staging, 'wx', 0o600)
    try {
      await file.truncate(diskMib * 1024 * 1024)
      await format(makeExt4, staging)
      await makeLayers(makeExt4, staging)
      await file.sync()
    } finally {
      await file.close()
    }
    renameSync(staging, path)
    syncDirectory(home.disks)
  } finally {
    rmSync(staging, { force: true })
  }
}

// The file is new and reads as zeroes, so nothing need be zeroed: not now, and not later by a thread in every guest.
const extendedOptions = 'assume_storage_prezeroed=1,nodiscard,root_owner=0:0'

async function format(makeExt4: string, path: string): Promise<void> {
  const run = promisify(execFile)
  try {
    await run(makeExt4, ['-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0', '-E', extendedOptions, path], {
      env: {},
    })
  } catch (cause) {
    throw new CofferError(
      'storage_error',
      `cannot format a disk with mke2fs: ${cause instanceof Error ? cause.message : cause}`,
      {
        hint: 'Check the free space of the home (coffer doctor).',
        cause,
      },
    )
  }
}

/**
 * The directories that overlayfs writes to. The agent makes them when they are missing, which costs every first start of a box 20 ms of emulated journalling;
 * `mke2fs -d` could make them too, but gives them to the calling user.
 */
async function makeLayers(makeExt4: string, path: string): Promise<void> {
  const debugfs = join(dirname(makeExt4), 'debugfs')
  for (const name of ['upper', 'work'])
    await promisify(execFile)(debugfs, ['-w', '-R', `mkdir ${name}`, path], { env: {} })
}
