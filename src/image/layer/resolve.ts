import { Buffer } from 'node:buffer'
import type { DirectoryNode } from '../../erofs/tree.ts'
import { CofferError } from '../../errors.ts'
import { showEntryPath } from './entry-path.ts'

/** Where a path leads in a tree. */
export type Chain = {
  /** From the root to the last directory that is there. */
  readonly directories: DirectoryNode[]
  /** `names[i]` is that of `directories[i + 1]`. */
  readonly names: string[]
  /** Names behind it that are not there, or not directories. */
  readonly beyond: string[]
}

// MAXSYMLINKS of Linux: what lies behind more links cannot be reached in the box either.
const maxLinks = 40
// Forty targets of 4 KiB would be 80,000 names, for every entry of 512 bytes.
const maxLinkedNames = 1000

/**
 * Follows `names` and the symbolic links among them inside the tree, whose root is the root for absolute targets and for `..`.
 * A file on the way, or nothing, is as good as a directory of unknown content: who needs one there finds out.
 *
 * @throws `invalid_argument` for a loop of links
 */
export function resolveChain(root: DirectoryNode, names: readonly string[]): Chain {
  let chain: Chain = { directories: [root], names: [], beyond: [] }
  const pending = names.toReversed()
  let links = 0
  let linkedNames = 0
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '' || name === '.') continue
    const directory = chain.directories.at(-1) ?? root
    const child = chain.beyond.length > 0 ? undefined : directory.children.get(name)
    if (name === '..') {
      stepUp(chain)
    } else if (child?.kind === 'directory') {
      chain.directories.push(child)
      chain.names.push(name)
    } else if (child?.kind === 'symlink') {
      const target = Buffer.from(child.target).toString('latin1')
      const targetNames = target.split('/')
      links += 1
      linkedNames += targetNames.length
      if (links > maxLinks || linkedNames > maxLinkedNames) throw tooManyLinks(names)
      if (target.startsWith('/')) chain = { directories: [root], names: [], beyond: [] }
      pending.push(...targetNames.reverse())
    } else {
      chain.beyond.push(name)
    }
  }
  return chain
}

function stepUp({ directories, names, beyond }: Chain): void {
  if (beyond.pop() !== undefined || names.pop() === undefined) return
  directories.pop()
}

function tooManyLinks(names: readonly string[]): CofferError {
  return new CofferError(
    'invalid_argument',
    `cannot follow ${showEntryPath(names.join('/'))} of a layer: too many symbolic links`,
    { hint: 'They may lead in a circle: make the image again.' },
  )
}
