import type { Attributes } from '../../erofs/attributes.ts'
import type { Content, DirectoryNode, Node } from '../../erofs/tree.ts'

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
const emptyContent: Content = { size: 0, firstBlock: 0, blocks: 0, tail: undefined }

/** Adds the directories and empty files a box mounts over, where nothing of the name is. Links are neither followed nor replaced. */
export function addMountPoints(root: DirectoryNode): void {
  for (const [name, mode] of directories) addMissing(root, name, newDirectory({ ...owner, mode }))
  const etc = root.children.get('etc')
  if (etc?.kind !== 'directory') return
  for (const name of etcFiles)
    addMissing(etc, name, { ...owner, mode: 0o644, kind: 'file', content: emptyContent })
}

const newDirectory = (attributes: Attributes): DirectoryNode => ({
  ...attributes,
  kind: 'directory',
  children: new Map(),
})

function addMissing(parent: DirectoryNode, name: string, node: Node): void {
  if (!parent.children.has(name)) parent.children.set(name, node)
}
