// The other end of puller.ts: pulls one image, and ends with its parent.
import { readFileSync } from 'node:fs'
import { isCofferError, Runtime } from '../../src/index.ts'
import type { PullerLine } from './puller.ts'

const [home = '', image = ''] = process.argv.slice(2)
process.stdin.on('end', () => process.exit()).resume()
const runtime = await Runtime.open({ home })
const idleKib = memory('VmRSS')
try {
  const { digest = '' } = await runtime.images.pull(image, {
    onProgress: ({ layer }) => {
      if (layer !== undefined) tell({ layer })
    },
  })
  tell({ digest, idleKib, peakKib: memory('VmHWM') })
} catch (error) {
  tell({ code: isCofferError(error) ? error.code : 'none', message: String(error) })
}
await runtime.shutdown()
process.exit()

function tell(line: PullerLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** In KiB, of this program alone: what getrusage(2) tells includes the parent before its exec. */
function memory(field: 'VmRSS' | 'VmHWM'): number {
  return Number(
    new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1],
  )
}
