/** Bytes per second between a command in a box and the library, in each direction. */

import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { boxOptions, openBenchRuntime } from './engine.ts'
import { figure, printFigures, sampleCount } from './report.ts'

const mebibytes = 256
await using bench = await openBenchRuntime()
await using box = await bench.runtime.create({ ...boxOptions, ephemeral: true })
const n = sampleCount(7)
const out: number[] = []
const into: number[] = []
const rssBefore = process.memoryUsage().rss
for (let index = 0; index < n; index++) {
  out.push(await guestToHost())
  into.push(await hostToGuest())
}
printFigures('stream', [figure('guest → host', 'MB/s', out), figure('host → guest', 'MB/s', into)], {
  'megabytes per sample': mebibytes * 1.048576,
  'growth of this process (MB)': ((process.memoryUsage().rss - rssBefore) / 1e6).toFixed(1),
})

async function guestToHost(): Promise<number> {
  const start = performance.now()
  const execution = await box.exec('dd', ['if=/dev/zero', 'bs=64k', `count=${mebibytes * 16}`])
  let bytes = 0
  for await (const chunk of execution.stdout) bytes += chunk.length
  await execution.wait()
  return bytes / 1e3 / (performance.now() - start)
}

async function hostToGuest(): Promise<number> {
  const start = performance.now()
  const execution = await box.exec('sh', ['-c', 'cat > /dev/null'], { stdin: 'pipe' })
  const chunk = Buffer.alloc(1024 * 1024)
  const source = Readable.from(Array.from({ length: mebibytes }, () => chunk))
  await pipeline(source, execution.stdin ?? new Writable())
  await execution.wait()
  return (mebibytes * 1024 ** 2) / 1e3 / (performance.now() - start)
}
