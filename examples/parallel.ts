// Many commands at once in one box, each with its own environment, directory, user, output and exit code.
import { Runtime } from '../src/index.ts'

await using runtime = await Runtime.open()
await using box = await runtime.create({ memoryMib: 256, diskMib: 256, ephemeral: true })

const numbers = Array.from({ length: 16 }, (_, index) => index)
const startedAtMs = performance.now()
const outputs = await Promise.all(
  numbers.map(number =>
    box.shell('sleep 0.5; echo "$NUMBER in $PWD as $(id -u)"; exit $NUMBER', {
      env: { NUMBER: String(number) },
      cwd: number % 2 === 0 ? '/tmp' : '/etc',
      user: String(1000 + number),
    }),
  ),
)
for (const { text, exitCode } of outputs) console.log(`${text.trim()}: exit code ${exitCode}`)
console.log(`${outputs.length} commands in ${Math.round(performance.now() - startedAtMs)} ms`)
