/**
 * The process that owns one box: `main.ts LOG`. Descriptor 3 is a socket to its starter: from it comes one line of JSON, the launch;
 * into it go lines for each step; its hang-up before the launch ends this process, and after it an attached box.
 */
import { renameSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { writeFileAtomic } from '../state/atomic-file.ts'
import { identify } from '../state/process-identity.ts'
import { failureRecord, writeExitRecord } from './exit-file.ts'
import { type Launch, shimFiles } from './launch.ts'
import type { ShimReport } from './report.ts'
import { spawnRestored } from './restore.ts'

const [log = ''] = process.argv.slice(2)
const starter = new Socket({ fd: 3, readable: true, writable: true })
starter.on('error', () => {})
let directory: string | undefined

process.umask(0o077)
process.on('uncaughtException', error => fail(error))
const launch = await receiveLaunch()
if (launch === undefined) rmSync(log, { force: true })
else await run(launch)

/** Undefined when the starter hangs up: nobody needs this shim. */
function receiveLaunch(): Promise<Launch | undefined> {
  return new Promise(resolve => {
    let text = ''
    starter.on('data', chunk => {
      text += chunk
      if (text.endsWith('\n')) resolve(JSON.parse(text))
    })
    starter.on('close', () => resolve(undefined))
  })
}

async function run(launch: Launch): Promise<void> {
  directory = launch.directory
  process.title = `coffer-shim ${launch.boxId} ${directory}`
  renameSync(log, join(directory, shimFiles.log))
  rmSync(join(directory, shimFiles.exit), { force: true })
  writeFileAtomic(
    join(directory, shimFiles.pid),
    JSON.stringify({ ...identify(process.pid), boxId: launch.boxId }),
  )
  // QEMU needs a while to come up; the rest of this program is loaded meanwhile.
  const vmm = await spawnRestored(launch)
  const { BoxRun } = await import('./box-run.ts')
  const box = await BoxRun.begin(launch, directory, vmm)
  const hangUp = (): void => {
    if (!launch.detach || !box.isReady) void box.orphan()
    else box.startMain()
  }
  if (starter.destroyed) hangUp()
  starter.on('close', hangUp)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void box.orphan())
  report({ state: 'listening' })
  try {
    report({ state: 'ready', timings: await box.ready() })
  } catch {
    // `ready` has written the exit record, which tells the starter all there is.
    return leave(directory, 1)
  }
  await box.finish()
  leave(directory, 0)
}

function report(message: ShimReport): void {
  if (starter.writable) starter.write(`${JSON.stringify(message)}\n`)
}

function fail(error: Error): void {
  console.error(error)
  if (directory === undefined) process.exit(1)
  writeExitRecord(join(directory, shimFiles.exit), failureRecord(error))
  leave(directory, 1)
}

/** Nothing of the run stays but its record and its logs. The VMM dies with this process if it still lives. */
function leave(directory: string, code: number): void {
  rmSync(join(directory, shimFiles.pid), { force: true })
  rmSync(join(directory, shimFiles.socket), { force: true })
  process.exitCode = code
  starter.destroySoon()
  // Answers under way to clients get their moment; a client that does not read gets no more than that.
  setTimeout(() => process.exit(), 250).unref()
}
