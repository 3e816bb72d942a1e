import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as coffer from '../src/index.ts'

const built = join(import.meta.dirname, '..', 'dist', 'index.js')

/** The library as users get it: compiled. The set-up has built it. */
export async function loadLibrary(): Promise<typeof coffer> {
  if (!existsSync(built)) throw new Error('dist/ is missing: run npm run build')
  return import(pathToFileURL(built).href)
}

export const boxOptions = { memoryMib: 256, cpus: 1 } as const

/** A runtime on a home of its own, with the template and image of `boxOptions` prepared. */
export async function openBenchRuntime(): Promise<
  AsyncDisposable & { readonly runtime: coffer.Runtime; readonly home: string }
> {
  const { Runtime } = await loadLibrary()
  const home = mkdtempSync(join(tmpdir(), 'coffer-bench-'))
  const runtime = await Runtime.open({ home })
  {
    await using box = await runtime.create({ ...boxOptions, ephemeral: true })
    await box.run('true')
  }
  return {
    runtime,
    home,
    async [Symbol.asyncDispose]() {
      await runtime.shutdown()
      rmSync(home, { recursive: true, force: true })
    },
  }
}
