/** Merges the layer in file argv[2] into argv[3], and prints what it took. */
import { createReadStream } from 'node:fs'
import { mergeLayers } from '../../src/image/layer/merge.ts'
import { layerOf } from './layout.ts'

const [, , layer = '', image = ''] = process.argv
const idleKib = process.memoryUsage.rss() / 1024
const open = (): AsyncIterable<Uint8Array> => createReadStream(layer, { highWaterMark: 256 * 1024 })
const { inodes } = await mergeLayers([layerOf(Buffer.alloc(0), { open })], image)
const aboveIdleMib = Math.round((process.resourceUsage().maxRSS - idleKib) / 1024)
console.log(JSON.stringify({ inodes, aboveIdleMib }))
