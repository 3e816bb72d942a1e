import { emptyContent } from '../../erofs/node.ts'
import { isDirectory, lookup, makeDirectory, put, type Tree } from '../../erofs/tree.ts'

// What the agent mounts over in every box (agent/rootfs.c): an overlay would have to make it in the box's own layer, at 15 ms
// of emulated journalling each.
const directories = [
  ['dev', 0o755],
  ['proc', 0o555],
  ['sys', 0o555],
  ['tmp', 0o1777],
  ['etc', 0o755],
] as const
const etcFiles = ['hosts', 'hostname', 'resolv.conf', 'machine-id'] as const

const owner = { uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }

/** Adds the directories and empty files a box mounts over, where nothing of the name is. Links are neither followed nor replaced. */
export function addMountPoints(tree: Tree): void {
  for (const [path, mode] of directories)
    if (lookup(tree, path) === 0) makeDirectory(tree, path, { ...owner, mode })
  if (!isDirectory(tree, lookup(tree, 'etc'))) return
  for (const name of etcFiles)
    if (lookup(tree, `etc/${name}`) === 0)
      put(tree, `etc/${name}`, { ...owner, mode: 0o644, kind: 'file', content: emptyContent })
}
