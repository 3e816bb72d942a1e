// What `npm start` shows: a command runs in a virtual machine of its own, and says where it is.
import { release } from 'node:os'
import { performance } from 'node:perf_hooks'
import { Runtime } from '../src/index.ts'
import { inspectHost } from '../src/runtime/doctor.ts'

await using runtime = await Runtime.open()

const script = 'uname -r; hostname; id -un'
const progress = ({ step }: { step: string }) => console.log(`  … ${step}`)

console.log('First box: without a boot template, one is made now; every box starts from it afterwards.')
await (async () => {
  await using first = await runtime.create({ ephemeral: true })
  await first.start({ onProgress: progress })
})()

console.log('Second box: restored from the template.')
const createdAtMs = performance.now()
await using box = await runtime.create({ ephemeral: true })
const execution = await box.exec('sh', ['-c', script])
let firstOutputMs: number | undefined
let text = ''
for await (const chunk of execution.stdout) {
  firstOutputMs ??= performance.now() - createdAtMs
  text += chunk
}
const { exitCode } = await execution.wait()
const accelerator = (await inspectHost()).find(({ name }) => name === 'accelerator')?.version
const [guestKernel, hostname, user] = text.split('\n')

console.log(`
  kernel in the box      ${guestKernel}
  kernel of this host    ${release()}
  host name in the box   ${hostname}
  user in the box        ${user}, who is nobody outside
  accelerator            ${accelerator === 'tcg' ? 'tcg (software emulation)' : accelerator}
  exit code              ${exitCode}
  create → first output  ${firstOutputMs?.toFixed(0)} ms
`)
console.log('Run your own: npm start -- run -- uname -a')
