import type { Attributes } from '../../erofs/attributes.ts'
import { maxNameBytes } from '../../erofs/format.ts'
import type { LeafNode } from '../../erofs/node.ts'
import { createTree, isDirectory, type Tree } from '../../erofs/tree.ts'
import { CofferError } from '../../errors.ts'
import type { Budget } from './budget.ts'
import { showEntryPath } from './entry-path.ts'
import { type Chain, resolveChain } from './resolve.ts'

const madeDirectory: Attributes = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }

/**
 * The tree of an image while its layers are applied, lower ones first. Paths are lists of latin1 names; the symbolic links in
 * them, but for the last name, are followed inside the tree.
 *
 * Whiteouts concern lower layers only, wherever they stand in their own, so it is known which layer touched a name last: its
 * stamp says so. Names, not inodes: a hard link touches its new name and leaves the old one alone.
 */
export class LayerTree {
  /** As merged so far. */
  readonly merged: Tree = createTree(madeDirectory)
  readonly #budget: Budget
  /** From 1. */
  #layer = 1
  /** Directories that hold nothing of lower layers any more. A second search would find nothing. */
  #purged = new Set<number>()
  /** Entries of one directory mostly follow each other. */
  #last: { readonly path: string; readonly parent: number } | undefined

  constructor(budget: Budget) {
    this.#budget = budget
  }

  endLayer(): void {
    this.#layer += 1
    this.#purged = new Set()
    this.#last = undefined
  }

  /**
   * Makes room for an entry: directories on the way that are missing are made, and what was at the path is gone, unless both it
   * and the entry are directories.
   *
   * @returns the entry's name, for `put`, `link` or `putDirectory`
   * @throws `invalid_argument` if something else than a directory is on the way, or links lead in a circle
   */
  makeRoom(path: readonly string[], forDirectory: boolean): number {
    const { names } = this.merged
    const name = names.claim(this.#enter(path.slice(0, -1)), path.at(-1) ?? '')
    if (!(forDirectory && isDirectory(this.merged, names.node(name)))) this.#remove(name)
    this.#touch(name)
    return name
  }

  put(name: number, leaf: LeafNode): void {
    this.merged.names.lead(name, this.merged.inodes.addLeaf(leaf))
  }

  /** Has the name lead to an inode that is there. */
  link(name: number, node: number): void {
    this.merged.names.lead(name, node)
  }

  /** Makes a directory, or gives the one that is there other attributes. */
  putDirectory(name: number, attributes: Attributes): void {
    const { names, inodes } = this.merged
    const existing = names.node(name)
    if (existing === 0) names.lead(name, inodes.addDirectory(attributes))
    else inodes.setAttributes(existing, attributes)
  }

  setRoot(attributes: Attributes): void {
    this.merged.inodes.setAttributes(this.merged.root, attributes)
  }

  /** The inode at a path, the last name not followed; 0 for nothing. */
  find(path: readonly string[]): number {
    const text = path.at(-1)
    if (text === undefined) return this.merged.root
    const name = this.#findName(path.slice(0, -1), text)
    return name === 0 ? 0 : this.merged.names.node(name)
  }

  /** Hides `text` of lower layers in the directory at `path`. */
  whiteOut(path: readonly string[], text: string): void {
    const name = this.#findName(path, text)
    if (name === 0) return
    if (!this.#isTouched(name)) return this.#remove(name)
    const node = this.merged.names.node(name)
    if (isDirectory(this.merged, node)) this.#purge(node)
  }

  /** Hides all that lower layers have in the directory at `path`. */
  makeOpaque(path: readonly string[]): void {
    const directory = this.#existing(path)
    if (directory !== 0) this.#purge(directory)
  }

  #purge(directory: number): void {
    const { names } = this.merged
    const queue = [directory]
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (this.#purged.has(next)) continue
      this.#purged.add(next)
      for (const name of names.list(next)) {
        if (!this.#isTouched(name)) this.#remove(name)
        else if (isDirectory(this.merged, names.node(name))) queue.push(names.node(name))
      }
    }
  }

  /** 0 if it never was there. */
  #findName(path: readonly string[], text: string): number {
    const parent = this.#existing(path)
    return parent === 0 ? 0 : this.merged.names.find(parent, text)
  }

  #existing(path: readonly string[]): number {
    const { directories, beyond } = resolveChain(this.merged, path)
    return beyond.length === 0 ? (directories.at(-1) ?? 0) : 0
  }

  /** The directory at `names`, made as far as it is missing, and touched with all on the way to it. */
  #enter(names: readonly string[]): number {
    const path = names.join('/')
    if (this.#last?.path === path) return this.#last.parent
    const parent = this.#makeMissing(resolveChain(this.merged, names), path)
    this.#last = { path, parent }
    return parent
  }

  #makeMissing({ directories, names, beyond }: Chain, path: string): number {
    let parent = directories.at(-1) ?? this.merged.root
    for (const name of names) this.#touch(name)
    for (const text of beyond) {
      if (text.length > maxNameBytes) throw notADirectory(path, text)
      const name = this.merged.names.claim(parent, text)
      if (this.merged.names.node(name) !== 0) throw notADirectory(path, text)
      this.#budget.addEntry(text.length)
      parent = this.merged.inodes.addDirectory(madeDirectory)
      this.merged.names.lead(name, parent)
      this.#touch(name)
    }
    return parent
  }

  #remove(name: number): void {
    const { names, inodes } = this.merged
    const node = names.node(name)
    if (node === 0) return
    names.clear(name)
    // The way to the last parent may have led through it.
    const kind = inodes.kind(node)
    if (kind === 'directory' || kind === 'symlink') this.#last = undefined
  }

  #touch(name: number): void {
    this.merged.names.setStamp(name, this.#layer)
  }

  #isTouched(name: number): boolean {
    return this.merged.names.stamp(name) === this.#layer
  }
}

function notADirectory(path: string, name: string): CofferError {
  return new CofferError(
    'invalid_argument',
    `cannot apply ${showEntryPath(path)} of a layer: ${showEntryPath(name)} on the way is no directory`,
    { hint: 'The image contradicts itself: make it again.' },
  )
}
