// The lines of the README.
import { Runtime } from '../src/index.ts'

await using runtime = await Runtime.open()
await using box = await runtime.create({ memoryMib: 256, ephemeral: true })

const { text, exitCode } = await box.run('uname', ['-a'])
console.log(`exit code ${exitCode}: ${text}`)

const listing = await box.exec('ls', ['-l', '/'])
for await (const chunk of listing.stdout) process.stdout.write(chunk)
console.log(await listing.wait())
