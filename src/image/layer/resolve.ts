import type { Tree } from '../../erofs/tree.ts'
import { CofferError } from '../../errors.ts'
import { showEntryPath } from './entry-path.ts'

/** Where a path leads in a tree. */
export type Chain = {
  /** From the root to the last directory that is there. */
  readonly directories: number[]
  /** `names[i]` leads to `directories[i + 1]`. */
  readonly names: number[]
  /** Names behind it that are not there, or not directories. */
  readonly beyond: string[]
}

// MAXSYMLINKS of Linux: what lies behind more links cannot be reached in the box either.
const maxLinks = 40
// Forty targets of 4 KiB would be 80,000 names, for every entry of 512 bytes.
const maxLinkedNames = 1000

/**
 * Follows `path` and the symbolic links on it inside the tree, whose root is the root for absolute targets and for `..`.
 * A file on the way, or nothing, is as good as a directory of unknown content: who needs one there finds out.
 *
 * @throws `invalid_argument` for a loop of links
 */
export function resolveChain({ root, names, inodes }: Tree, path: readonly string[]): Chain {
  let chain: Chain = { directories: [root], names: [], beyond: [] }
  const pending = path.toReversed()
  let links = 0
  let linkedNames = 0
  for (let text = pending.pop(); text !== undefined; text = pending.pop()) {
    if (text === '' || text === '.') continue
    if (text === '..') {
      stepUp(chain)
      continue
    }
    const name = chain.beyond.length > 0 ? 0 : names.find(chain.directories.at(-1) ?? root, text)
    const node = name === 0 ? 0 : names.node(name)
    const kind = node === 0 ? undefined : inodes.kind(node)
    if (kind === 'directory') {
      chain.directories.push(node)
      chain.names.push(name)
    } else if (kind === 'symlink') {
      const target = inodes.target(node).toString('latin1')
      const targetNames = target.split('/')
      links += 1
      linkedNames += targetNames.length
      if (links > maxLinks || linkedNames > maxLinkedNames) throw tooManyLinks(path)
      if (target.startsWith('/')) chain = { directories: [root], names: [], beyond: [] }
      pending.push(...targetNames.reverse())
    } else {
      chain.beyond.push(text)
    }
  }
  return chain
}

function stepUp({ directories, names, beyond }: Chain): void {
  if (beyond.pop() !== undefined || names.pop() === undefined) return
  directories.pop()
}

function tooManyLinks(path: readonly string[]): CofferError {
  return new CofferError(
    'invalid_argument',
    `cannot follow ${showEntryPath(path.join('/'))} of a layer: too many symbolic links`,
    { hint: 'They may lead in a circle: make the image again.' },
  )
}
