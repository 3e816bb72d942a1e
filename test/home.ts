import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BoxOptions, ImagesOptions } from '../src/index.ts'
import { Runtime } from '../src/index.ts'
import { keepProbe, shareCache } from './shared-cache.ts'

/** Small and one processor: what a test machine has cores and memory for. All tests share the boot template of this kind. */
export const smallBox: BoxOptions = { memoryMib: 192, diskMib: 256 }

export type TestHome = AsyncDisposable & {
  readonly path: string
  readonly runtime: Runtime
  /** Another runtime on the same home. The test closes it. */
  open(): Promise<Runtime>
}

export type TestHomeOptions = {
  /** The home has images of its own, none at first but the built-in one. Default: those that all tests share. */
  readonly ownImages?: boolean
  readonly images?: ImagesOptions
}

/** A home of its own for a test, with a runtime. Both are gone when it is disposed, and no process may be left then. */
export async function openTestHome(options: TestHomeOptions = {}): Promise<TestHome> {
  const path = mkdtempSync(join(tmpdir(), 'coffer-test-'))
  shareCache(path, options.ownImages === true ? ['templates', 'disks'] : ['templates', 'disks', 'images'])
  const opening = { home: path, ...(options.images === undefined ? {} : { images: options.images }) }
  const runtime = await Runtime.open(opening)
  return {
    path,
    runtime,
    open: () => Runtime.open(opening),
    async [Symbol.asyncDispose]() {
      await using cleaner = await Runtime.open({ home: path })
      for (const { id } of await cleaner.list()) await cleaner.remove(id, { force: true })
      await runtime.shutdown()
      await cleaner.shutdown()
      try {
        await eventually('no process of the home is left', () =>
          commandLines().every(line => !line.includes(path)),
        )
      } finally {
        keepProbe(path)
        rmSync(path, { recursive: true, force: true })
      }
    },
  }
}

/** Command lines of living processes that mention `text`, except this one and shims that wait for a box. */
export function processesOf(text: string): string[] {
  return commandLines().filter(line => line.includes(text) && !/\/tmp\/\d+-\d+-shim\.log/.test(line))
}

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(name => `${name} ${commandLine(name)}`)
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    // It ended between the listing and the look.
    return ''
  }
}

/** Waits until `condition` holds; fails after `deadlineMs`. For what the kernel announces to nobody. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
