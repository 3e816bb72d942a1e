/** A process that pulls one image into a fresh home, for `image.ts`: what `coffer pull` does, and its memory. */
import { loadLibrary } from './engine.ts'

const [home = '', image = ''] = process.argv.slice(2)
const { Runtime } = await loadLibrary()
await using runtime = await Runtime.open({ home })
const idleKib = process.memoryUsage.rss() / 1024
await runtime.images.pull(image)
console.log(JSON.stringify({ aboveIdleMb: ((process.resourceUsage().maxRSS - idleKib) * 1024) / 1e6 }))
