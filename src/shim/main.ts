/**
 * The process that owns one box: `main.ts LOG`. Descriptor 3 is a socket to its starter: from it come two lines, the launch as JSON and,
 * when the starter has recorded that the box runs, `noted`; into it go lines of JSON for each step. Its hang-up before the launch ends this
 * process, and after it an attached box.
 */
import { renameSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { faultPoint } from '../state/fault-point.ts'
import { failureRecord, writeExitRecord } from './exit-file.ts'
import { type Launch, shimFiles } from './launch.ts'
import type { ShimReport } from './report.ts'
import { spawnRestored } from './restore.ts'

const [log = ''] = process.argv.slice(2)
const starter = new Socket({ fd: 3, readable: true, writable: true })
starter.on('error', () => {})
const noted = Promise.withResolvers<boolean>()
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
      const end = text.indexOf('\n')
      if (end < 0) return
      resolve(JSON.parse(text.slice(0, end)))
      if (text.indexOf('\n', end + 1) > 0) noted.resolve(true)
    })
    starter.on('close', () => {
      noted.resolve(false)
      resolve(undefined)
    })
  })
}

async function run(launch: Launch): Promise<void> {
  directory = launch.directory
  process.title = `coffer-shim ${launch.boxId} ${directory}`
  renameSync(log, join(directory, shimFiles.log))
  rmSync(join(directory, shimFiles.exit), { force: true })
  faultPoint('shim: launched')
  // QEMU needs a while to come up; the rest of this program is loaded meanwhile.
  const vmm = await spawnRestored(launch, launch.mountedTemplate ?? launch.bootTemplate)
  faultPoint('shim: VMM spawned')
  const { Supervisor } = await import('./supervisor.ts')
  const box = await Supervisor.begin(launch, vmm, noted.promise)
  const hangUp = (): void => {
    if (!launch.detach || !box.isReady) box.end('orphaned')
    else void box.leftAlone()
  }
  if (starter.destroyed) hangUp()
  starter.on('close', hangUp)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => box.end('stopped'))
  report({ state: 'listening' })
  faultPoint('shim: listening')
  try {
    const timings = await box.ready()
    faultPoint('shim: ready')
    report({ state: 'ready', timings })
  } catch {
    // `ready` has written the exit record, which tells the starter all there is.
    return leave(directory, 1)
  }
  await box.follow()
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
  faultPoint('shim: pid file removed')
  rmSync(join(directory, shimFiles.socket), { force: true })
  process.exitCode = code
  starter.destroySoon()
  // Answers under way to clients get their moment; a client that does not read gets no more than that.
  setTimeout(() => process.exit(), 250).unref()
}
