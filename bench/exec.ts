/** Round trips of commands in a running box. */
import { once } from 'node:events'
import { boxOptions, openBenchRuntime } from './engine.ts'
import { figure, printFigures, sampleCount, timed } from './report.ts'

await using bench = await openBenchRuntime()
await using box = await bench.runtime.create({ ...boxOptions, ephemeral: true })
const n = sampleCount(300)
for (let index = 0; index < 20; index++) await box.run('true')

const sequential: number[] = []
for (let index = 0; index < n; index++) sequential.push(await timed(() => box.run('true')))

const parallel: number[] = []
for (let index = 0; index < 5; index++)
  parallel.push(await timed(() => Promise.all(Array.from({ length: 100 }, () => box.run('true')))))

const echo: number[] = []
const cat = await box.exec('cat', [], { stdin: 'pipe' })
const block = Buffer.alloc(4096, 'x')
for (let index = 0; index < n; index++) echo.push(await timed(() => echoBlock()))
cat.stdin?.end()
await cat.wait()

printFigures('exec', [
  figure('round trip of true', 'ms', sequential),
  figure('100 true in parallel', 'ms', parallel),
  figure('4 KiB through stdin and stdout of cat', 'ms', echo),
])

async function echoBlock(): Promise<void> {
  cat.stdin?.write(block)
  for (let bytes = 0; bytes < block.length; ) {
    const chunk: Buffer | null = cat.stdout.read()
    if (chunk === null) await once(cat.stdout, 'readable')
    else bytes += chunk.length
  }
}
