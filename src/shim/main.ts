/**
 * The process that owns one box: `main.ts DIRECTORY BUILD`. Descriptor 3 is a socket to its starter: it hears
 * a line of JSON for each step, and its hang-up ends an attached box.
 */
import { rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { writeFileAtomic } from '../state/atomic-file.ts'
import { identify } from '../state/process-identity.ts'
import { failureRecord, writeExitRecord } from './exit-file.ts'
import { readLaunch, shimFiles } from './launch.ts'
import type { ShimReport } from './report.ts'
import { spawnRestored } from './restore.ts'

const [directory = '', build = ''] = process.argv.slice(2)
const starter = new Socket({ fd: 3, readable: true, writable: true })
starter.on('error', () => {})

process.umask(0o077)
process.on('uncaughtException', error => fail(error))
await run()

async function run(): Promise<void> {
  const launch = readLaunch(directory, build)
  rmSync(join(directory, shimFiles.exit), { force: true })
  writeFileAtomic(
    join(directory, shimFiles.pid),
    JSON.stringify({ ...identify(process.pid), boxId: launch.boxId }),
  )
  // QEMU needs a while to come up; the rest of this program is loaded meanwhile.
  const vmm = await spawnRestored(launch)
  const { BoxRun } = await import('./box-run.ts')
  const box = await BoxRun.begin(launch, directory, vmm)
  starter.on('close', () => {
    if (!launch.detach || !box.isReady) void box.orphan()
  })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void box.orphan())
  starter.resume()
  report({ state: 'listening' })
  try {
    report({ state: 'ready', timings: await box.ready() })
  } catch {
    // `ready` has written the exit record, which tells the starter all there is.
    return leave(1)
  }
  await box.finish()
  leave(0)
}

function report(message: ShimReport): void {
  if (starter.writable) starter.write(`${JSON.stringify(message)}\n`)
}

function fail(error: Error): void {
  console.error(error)
  writeExitRecord(join(directory, shimFiles.exit), failureRecord(error))
  leave(1)
}

/** Nothing of the run stays but its record and its logs. The VMM dies with this process if it still lives. */
function leave(code: number): void {
  rmSync(join(directory, shimFiles.pid), { force: true })
  rmSync(join(directory, shimFiles.socket), { force: true })
  process.exitCode = code
  starter.destroySoon()
  // Answers under way to clients get their moment; a client that does not read gets no more than that.
  setTimeout(() => process.exit(), 250).unref()
}
