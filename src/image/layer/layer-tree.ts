import { Buffer } from 'node:buffer'
import type { Attributes } from '../../erofs/attributes.ts'
import { maxNameBytes } from '../../erofs/format.ts'
import { createTree, type DirectoryNode, type LeafNode, type Node } from '../../erofs/tree.ts'
import { CofferError } from '../../errors.ts'
import type { Budget } from './budget.ts'
import { showEntryPath } from './entry-path.ts'
import { type Chain, resolveChain } from './resolve.ts'

/** A name in a directory that is there. */
export type Place = { readonly parent: DirectoryNode; readonly name: string }

const madeDirectory: Attributes = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }

/**
 * The tree of an image while its layers are applied, lower ones first. Paths are lists of latin1 names; the symbolic links in
 * them, but for the last name, are followed inside the tree.
 *
 * Whiteouts concern lower layers only, wherever they stand in their own, so what the present layer has touched is known: for
 * each directory the names in it. Names, not inodes: a hard link touches its new name and leaves the old one alone.
 */
export class LayerTree {
  readonly root: DirectoryNode = createTree(madeDirectory)
  readonly #budget: Budget
  #isFirstLayer = true
  /** Of the present layer, unless it is the first: below that nothing is to be hidden. */
  #touched = new Map<DirectoryNode, Set<string>>()
  /** Directories that hold nothing of lower layers any more. A second search would find nothing. */
  #purged = new Set<DirectoryNode>()
  /** Entries of one directory mostly follow each other. */
  #last: { readonly path: string; readonly parent: DirectoryNode } | undefined

  constructor(budget: Budget) {
    this.#budget = budget
  }

  endLayer(): void {
    this.#isFirstLayer = false
    this.#touched = new Map()
    this.#purged = new Set()
    this.#last = undefined
  }

  /**
   * Makes room for an entry: directories on the way that are missing are made, and what was at the path is gone, unless both it
   * and the entry are directories.
   *
   * @throws `invalid_argument` if something else than a directory is on the way, or links lead in a circle
   */
  makeRoom(names: readonly string[], isDirectory: boolean): Place {
    const place = { parent: this.#enter(names.slice(0, -1)), name: names.at(-1) ?? '' }
    const existing = place.parent.children.get(place.name)
    if (existing !== undefined && !(isDirectory && existing.kind === 'directory')) this.#remove(place)
    this.#touch(place)
    return place
  }

  put({ parent, name }: Place, node: LeafNode): void {
    this.#add(parent, name, node)
  }

  /** Makes a directory, or gives the one that is there other attributes. */
  putDirectory({ parent, name }: Place, attributes: Attributes): void {
    const existing = parent.children.get(name)
    if (existing?.kind === 'directory') setAttributes(existing, attributes)
    else this.#add(parent, name, { ...attributes, kind: 'directory', children: new Map() })
  }

  setRoot(attributes: Attributes): void {
    setAttributes(this.root, attributes)
  }

  /** What is at a path, the last name not followed; undefined for nothing. */
  find(names: readonly string[]): Node | undefined {
    const name = names.at(-1)
    if (name === undefined) return this.root
    return this.#existing(names.slice(0, -1))?.children.get(name)
  }

  /** Hides `name` of lower layers in the directory at `names`. */
  whiteOut(names: readonly string[], name: string): void {
    if (this.#isFirstLayer) return
    const parent = this.#existing(names)
    const child = parent?.children.get(name)
    if (parent === undefined || child === undefined) return
    if (!this.#isTouched(parent, name)) this.#remove({ parent, name })
    else if (child.kind === 'directory') this.#purge(child)
  }

  /** Hides all that lower layers have in the directory at `names`. */
  makeOpaque(names: readonly string[]): void {
    const directory = this.#isFirstLayer ? undefined : this.#existing(names)
    if (directory !== undefined) this.#purge(directory)
  }

  #purge(directory: DirectoryNode): void {
    const queue = [directory]
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (this.#purged.has(next)) continue
      this.#purged.add(next)
      for (const [name, child] of next.children) {
        if (!this.#isTouched(next, name)) this.#remove({ parent: next, name })
        else if (child.kind === 'directory') queue.push(child)
      }
    }
  }

  #existing(names: readonly string[]): DirectoryNode | undefined {
    const { directories, beyond } = resolveChain(this.root, names)
    return beyond.length === 0 ? directories.at(-1) : undefined
  }

  /** The directory at `names`, made as far as it is missing, and touched with all on the way to it. */
  #enter(names: readonly string[]): DirectoryNode {
    const path = names.join('/')
    if (this.#last?.path === path) return this.#last.parent
    const chain = resolveChain(this.root, names)
    const parent = this.#makeMissing(chain, path)
    this.#last = { path, parent }
    return parent
  }

  #makeMissing({ directories, names, beyond }: Chain, path: string): DirectoryNode {
    let parent = directories.at(-1) ?? this.root
    for (const [index, name] of names.entries())
      this.#touch({ parent: directories[index] ?? this.root, name })
    for (const name of beyond) {
      if (parent.children.has(name) || name.length > maxNameBytes) throw notADirectory(path, name)
      const made: DirectoryNode = { ...madeDirectory, kind: 'directory', children: new Map() }
      this.#budget.addEntry(name.length)
      this.#add(parent, name, made)
      this.#touch({ parent, name })
      parent = made
    }
    return parent
  }

  #add(parent: DirectoryNode, name: string, node: Node): void {
    // A part of a string keeps the whole one alive: through the bytes it becomes a string of its own.
    parent.children.set(Buffer.from(name, 'latin1').toString('latin1'), node)
  }

  #remove({ parent, name }: Place): void {
    const kind = parent.children.get(name)?.kind
    parent.children.delete(name)
    // The way to the last parent may have led through it.
    if (kind === 'directory' || kind === 'symlink') this.#last = undefined
  }

  #touch({ parent, name }: Place): void {
    if (this.#isFirstLayer) return
    const names = this.#touched.get(parent)
    if (names === undefined) this.#touched.set(parent, new Set([name]))
    else names.add(name)
  }

  #isTouched(parent: DirectoryNode, name: string): boolean {
    return this.#touched.get(parent)?.has(name) === true
  }
}

function setAttributes(directory: DirectoryNode, attributes: Attributes): void {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs } = attributes
  Object.assign(directory, { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs })
}

function notADirectory(path: string, name: string): CofferError {
  return new CofferError(
    'invalid_argument',
    `cannot apply ${showEntryPath(path)} of a layer: ${showEntryPath(name)} on the way is no directory`,
    { hint: 'The image contradicts itself: make it again.' },
  )
}
