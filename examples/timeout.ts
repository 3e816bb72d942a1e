// Four ways to bound a command: its time, your patience, its output, its resources.
import { isCofferError, Runtime } from '../src/index.ts'

await using runtime = await Runtime.open()
await using box = await runtime.create({ memoryMib: 192, diskMib: 256, ephemeral: true })

// 1. Its time: the whole process tree is killed, also what went into the background; that is a result, not an error.
const late = await box.shell('sleep 1000 & sleep 1000', { timeoutMs: 500 })
console.log(`timed out: ${late.timedOut}, ended by ${late.signal}`)

// 2. Your patience: any AbortSignal.
await report('aborted', box.shell('sleep 1000', { signal: AbortSignal.timeout(500) }))

// 3. Its output, where it is collected.
await report('too much', box.run('yes', [], { maxOutputBytes: 1024 * 1024 }))

// 4. Its resources: any of Linux's 16 limits.
const limited = await box.shell('ulimit -n; ulimit -f', {
  rlimits: { nofile: 64, fsize: { soft: 1024 * 1024, hard: 'unlimited' } },
})
console.log(`limits: ${limited.text.trim().replace('\n', ' files, ')} blocks of 512 bytes`)

async function report(what: string, running: Promise<unknown>): Promise<void> {
  try {
    await running
  } catch (error) {
    if (!isCofferError(error)) throw error
    console.log(`${what}: ${error.code}`)
  }
}
