// An image of a private registry: log in, pull it and see how far it is, run it, and push what a box made of it.
//
//   REGISTRY=registry.example:5000 REGISTRY_USER=me REGISTRY_PASSWORD=… IMAGE=team/app:1 node examples/private-registry.ts
import { Runtime } from '../src/index.ts'

const {
  REGISTRY = 'localhost:5000',
  REGISTRY_USER = '',
  REGISTRY_PASSWORD = '',
  IMAGE = 'team/app:1',
} = process.env
const name = `${REGISTRY}/${IMAGE}`

await using runtime = await Runtime.open()
const { images } = runtime

// The registry checks the password; the home keeps it, in a file that only its owner can read.
await images.login(REGISTRY, { username: REGISTRY_USER, password: REGISTRY_PASSWORD })

const done = new Set<number>()
const { digest } = await images.pull(name, {
  onProgress: ({ layer }) => {
    if (layer?.phase !== 'done' || done.has(layer.index)) return
    done.add(layer.index)
    console.log(`layer ${layer.index + 1} of ${layer.layers}: ${layer.totalBytes} bytes`)
  },
})
console.log(`pulled ${digest}`)

// A box of it: with the image's environment, user and directory, and with its own writable disk.
await using box = await runtime.create({ image: name, memoryMib: 192, diskMib: 256, ephemeral: true })
const { text } = await box.shell('echo "hello from $(id -un)"; echo changed > /tmp/note', { user: 'root' })
console.log(text.trim())

// What the box changed becomes a layer on top of the image.
const made = await box.commit(`${name}-changed`, {
  message: 'a note',
  changes: ['CMD ["cat", "/tmp/note"]'],
})
const pushed = await images.push(`${name}-changed`)
console.log(`pushed ${pushed.digest === made.digest ? 'what was committed' : 'something else'}`)

await images.logout(REGISTRY)
