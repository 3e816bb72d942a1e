// Output as it comes, from a command that writes more than anybody would want to keep.
import { Runtime } from '../src/index.ts'

await using runtime = await Runtime.open()
await using box = await runtime.create({ memoryMib: 192, diskMib: 256, ephemeral: true })

// 1. Streams: Node's own, so that whatever reads slowly slows the command down instead of filling the memory.
const flood = await box.exec('sh', ['-c', 'yes streaming | head -c 20000000'])
let bytes = 0
for await (const chunk of flood.stdout) bytes += chunk.length
console.log(`${bytes} bytes, exit code ${(await flood.wait()).exitCode}`)

// 2. Events: both streams and the end, in one sequence.
const script = 'for i in 1 2 3; do echo "out $i"; echo "err $i" >&2; sleep 0.1; done; exit 5'
const execution = await box.exec('sh', ['-c', script])
for await (const event of execution.events()) {
  if (event.type === 'started') console.log(`runs as process ${event.pid}`)
  else if (event.type === 'exited') console.log(`exit code ${event.result.exitCode}`)
  else console.log(`${event.type}: ${event.data.toString().trimEnd()}`)
}

// 3. Input: what is piped in comes out again, however long it is.
const cat = await box.exec('cat', [], { stdin: 'pipe' })
cat.stdin?.end('from here and back\n')
for await (const chunk of cat.stdout) process.stdout.write(chunk)
