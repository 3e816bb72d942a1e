import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory } from '../state/atomic-file.ts'
import { faultPoint } from '../state/fault-point.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { acquireLock } from '../state/lock.ts'
import { blockDeviceBytes } from '../vm/machine.ts'
import { writeError } from './content.ts'
import { mergeError, mergeLimit } from './disk-space.ts'
import type { LayerSource } from './layer/merge.ts'
import { rootfsPath } from './rootfs-path.ts'
import { isDiskType } from './sources/disk-media-types.ts'

export type BuildOptions = {
  readonly signal?: AbortSignal | undefined
  /** Bytes that are still to come to the same disk. */
  readonly reservedBytes?: number | undefined
  /** Another process builds it. */
  readonly onWait?: (() => void) | undefined
  /** Bytes read of the layer `index`, all in all. */
  readonly onLayer?: ((index: number, bytes: number) => void) | undefined
}

/** Merges layers into the file of their chain, unless it is there: once, whoever else wants it at the same time. */
export async function buildRootfs(
  home: Home,
  chainId: string,
  layers: readonly LayerSource[],
  options: BuildOptions = {},
): Promise<string> {
  const path = rootfsPath(home, chainId)
  if (existsSync(path)) return path
  using _lock = await acquireLock(lockPath(home, chainId), {
    signal: options.signal,
    ...(options.onWait === undefined ? {} : { onWait: options.onWait }),
  })
  if (!existsSync(path)) await merge(home, path, layers, options)
  return path
}

async function merge(
  home: Home,
  path: string,
  layers: readonly LayerSource[],
  { signal, reservedBytes = 0, onLayer }: BuildOptions,
): Promise<void> {
  const directory = join(home.images, 'rootfs')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const staging = temporaryPath(home, 'rootfs')
  const read: number[] = []
  let before = 0
  const limitBytes = mergeLimit(home, reservedBytes)
  try {
    const onProgress = ({ layer, bytes }: { layer: number; bytes: number }): void => {
      read[layer] = (read[layer] ?? 0) + bytes - before
      before = bytes
      onLayer?.(layer, read[layer])
    }
    const limits = { maxBytes: limitBytes }
    if (isDisk(layers)) {
      const { unpackDisk } = await import('./sources/disk-layer.ts')
      await unpackDisk(layers[0], staging, { signal, limits, onProgress })
    } else {
      const { mergeLayers } = await import('./layer/merge.ts')
      await mergeLayers(layers, staging, { signal, limits, mountPoints: true, onProgress })
    }
    // Sparse: the guest must see one capacity whatever image lies behind its device.
    truncateSync(staging, blockDeviceBytes)
    chmodSync(staging, 0o600)
    await using file = await open(staging, 'r')
    await file.sync()
    faultPoint('image: layers merged')
    renameSync(staging, path)
    faultPoint('image: file in place')
    syncDirectory(directory)
  } catch (error) {
    throw writeError(mergeError(home, limitBytes, error))
  } finally {
    rmSync(staging, { force: true })
  }
}

/** Whether the image is a whole file system: such a layer is alone. */
function isDisk(layers: readonly LayerSource[]): layers is readonly [LayerSource] {
  return isDiskType(layers[0]?.mediaType ?? '')
}

/** One of 256 lock files: a file for each chain would stay for ever, and one that is removed could be held twice. */
function lockPath(home: Home, chainId: string): string {
  return join(home.locks, `rootfs-${chainId.slice(chainId.indexOf(':') + 1).slice(0, 2)}`)
}
