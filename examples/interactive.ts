// A shell on a terminal, driven by a program: it waits for what the screen shows, and types.
import { Runtime } from '../src/index.ts'

await using runtime = await Runtime.open()
await using box = await runtime.create({ memoryMib: 192, diskMib: 256, ephemeral: true })

const shell = await box.exec('sh', [], { tty: { rows: 30, cols: 100 }, stdin: 'pipe', env: { PS1: '$ ' } })
const screen = shell.stdout[Symbol.asyncIterator]()
let seen = ''

async function expect(pattern: RegExp): Promise<void> {
  for (;;) {
    const match = pattern.exec(seen)
    if (match !== null) {
      seen = seen.slice(match.index + match[0].length)
      return
    }
    const { done, value } = await screen.next()
    if (done) throw new Error(`the shell ended before it showed ${pattern}`)
    seen += value
  }
}
const type = (text: string) => shell.stdin?.write(text)

await expect(/\$ /)
type('stty size\r')
await expect(/30 100/)
await shell.resize({ rows: 40, cols: 120 })
type('stty size\r')
await expect(/40 120/)
// The job itself says that it runs: between two commands the shell would take the key.
type("sh -c 'echo start$((1 + 1)); exec sleep 1000'\r")
await expect(/start2/)
type('\u0003') // ^C is a key here: the terminal in the box makes a signal of it
await expect(/\$ /) // not the echo of ^C, which a shell that is quick to take the terminal back turns off
type('exit 7\r')
console.log(`the shell ended with exit code ${(await shell.wait()).exitCode}`)
