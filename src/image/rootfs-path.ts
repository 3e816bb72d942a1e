import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemErrorCode } from '../errors.ts'
import { diskBytes } from '../state/disk-bytes.ts'
import type { Home } from '../state/home.ts'
import type { Digest } from './digest.ts'

/** Raised when the same layers give another file: see `mergeLayers`. */
const revision = 1

/** Names the file system that layers make together, by the OCI image specification (config.md, "Layer ChainID"). */
export function chainIdOf(diffIds: readonly Digest[]): string {
  const [first, ...rest] = diffIds
  const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
  // Of no layer the specification says nothing.
  if (first === undefined) return sha256('')
  return rest.reduce<string>((chain, diffId) => sha256(`${chain} ${diffId}`), first)
}

/** Where the merged layers of a chain are, once they are. */
export function rootfsPath(home: Home, chainId: string): string {
  return join(home.images, 'rootfs', `${chainId.slice(chainId.indexOf(':') + 1)}-${revision}.erofs`)
}

/** Files of merged layers with the bytes they take on the disk. */
export function listRootfs(home: Home): { readonly path: string; readonly bytes: number }[] {
  const directory = join(home.images, 'rootfs')
  return entriesOf(directory)
    .map(name => join(directory, name))
    .map(path => ({ path, bytes: diskBytes(path) }))
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}
