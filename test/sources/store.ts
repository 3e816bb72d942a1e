import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ImageStore } from '../../src/image/store.ts'
import { openHome } from '../../src/state/home.ts'
import { Store } from '../../src/state/store.ts'
import { scratchDirectory } from '../scratch.ts'

export type TestStore = Disposable & {
  readonly store: ImageStore
  /** A directory for the test's own files, which goes with the store. */
  readonly path: string
  /** A path in it. */
  at(name: string): string
}

/** An image store in a home of its own. */
export function testStore(): TestStore {
  const scratch = scratchDirectory('sources')
  mkdirSync(join(scratch.path, 'files'))
  const home = openHome(join(scratch.path, 'home'))
  const records = new Store(home.database)
  const store = new ImageStore({ home, store: records, settings: { parallelDownloads: 2 } })
  const path = join(scratch.path, 'files')
  return {
    store,
    path,
    at: name => join(path, name),
    [Symbol.dispose]() {
      records[Symbol.dispose]()
      scratch[Symbol.dispose]()
    },
  }
}
