import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A directory of its own for a test, gone when it is disposed. */
export function scratchDirectory(purpose: string): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), `coffer-${purpose}-`))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
