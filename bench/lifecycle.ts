/** What the life of a box costs beside its first start: starting again, stopping, being adopted, being listed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Box } from '../src/index.ts'
import { boxOptions, loadLibrary, openBenchRuntime } from './engine.ts'
import { type Figure, figure, printFigures, sampleCount, timed } from './report.ts'

const program = join(import.meta.dirname, '../bin/coffer.js')
const smallBox = { ...boxOptions, memoryMib: 128, diskMib: 256 }

await using bench = await openBenchRuntime()
const { Runtime } = await loadLibrary()
const rounds = await startsAndStops(sampleCount(30))
const adopted = await adoption(20, 5)
const listed = await listing(100, sampleCount(30))
printFigures('lifecycle', [...rounds, ...adopted, ...listed.figures], {
  'ps with 100 boxes beyond `node -e 0` (ms, p50)': listed.beyondNodeMs.toFixed(1),
  'ps with 100 boxes beyond `coffer version` (ms, p50)': listed.beyondVersionMs.toFixed(1),
})

async function startsAndStops(n: number): Promise<Figure[]> {
  const samples = { first: [], again: [], stop: [], force: [], inside: [] } as Record<string, number[]>
  const sample = async (name: string, action: () => Promise<unknown>): Promise<void> => {
    samples[name]?.push(await timed(action))
  }
  for (let index = 0; index < n; index++) {
    const box = await bench.runtime.create({ ...boxOptions })
    await sample('first', () => box.start())
    await sample('stop', () => box.stop())
    samples['inside']?.push(await stoppingMs(box))
    await sample('again', () => box.start())
    await sample('force', () => box.stop({ timeoutMs: 0 }))
    await bench.runtime.remove(box.id)
  }
  const row = (title: string, name: string): Figure => figure(title, 'ms', samples[name] ?? [])
  return [
    row('start of a new box', 'first'),
    row('start of a stopped box', 'again'),
    row('stop of an idle box', 'stop'),
    row('of that, from stopping to stopped', 'inside'),
    row('stop of an idle box by force', 'force'),
  ]
}

/** Between the shim's hearing of the stop and its record of the end: the guest's shutdown and QEMU's exit. */
async function stoppingMs({ id }: Box): Promise<number> {
  const events = await Array.fromAsync(bench.runtime.events({ after: 0, follow: false, box: id }))
  const at = (type: string): number =>
    events.findLast(event => event.type === type)?.at.getTime() ?? Number.NaN
  return at('stopped') - at('stopping')
}

/** A runtime opens a home in which boxes run, and comes to know and to reach all of them. */
async function adoption(count: number, n: number): Promise<Figure[]> {
  const boxes = await Promise.all(
    Array.from({ length: count }, () => bench.runtime.create({ ...smallBox, detach: true })),
  )
  for (const box of boxes) await box.start()
  const samples = { open: [], list: [], reach: [], all: [] } as Record<string, number[]>
  for (let index = 0; index < n; index++) {
    const begun = performance.now()
    await using runtime = await Runtime.open({ home: bench.home })
    const opened = performance.now()
    const infos = await runtime.list({ all: false })
    if (infos.length !== count) throw new Error(`${infos.length} of ${count} boxes run`)
    const known = performance.now()
    await Promise.all(infos.map(async ({ id }) => (await runtime.get(id)).executions.list()))
    await Promise.all(infos.map(async ({ id }) => (await runtime.get(id)).info()))
    const reached = performance.now()
    samples['open']?.push(opened - begun)
    samples['list']?.push(known - opened)
    samples['reach']?.push(reached - known)
    samples['all']?.push(reached - begun)
  }
  for (const { id } of boxes) await bench.runtime.remove(id, { force: true })
  const row = (title: string, name: string): Figure =>
    figure(`${count} running boxes, ${title}`, 'ms', samples[name] ?? [])
  return [
    row('opening a runtime', 'open'),
    row('list', 'list'),
    row('connection and info of each', 'reach'),
    row('all of it', 'all'),
  ]
}

async function listing(
  count: number,
  n: number,
): Promise<{ figures: Figure[]; beyondNodeMs: number; beyondVersionMs: number }> {
  const boxes = await Promise.all(Array.from({ length: count }, () => bench.runtime.create(smallBox)))
  const running = boxes.slice(0, 3)
  for (const box of running) await box.start()
  const lines: Record<string, readonly string[]> = {
    node: ['-e', '0'],
    version: [program, 'version'],
    ps: [program, 'ps', '--all'],
  }
  const samples: Record<string, number[]> = { node: [], version: [], ps: [] }
  // The first of each fills the caches of the file system and of Node's compiler.
  for (let index = -1; index < n; index++)
    for (const [name, words] of Object.entries(lines)) {
      const tookMs = await timed(() => runNode(words))
      if (index >= 0) samples[name]?.push(tookMs)
    }
  for (const { id } of boxes) await bench.runtime.remove(id, { force: true })
  const [node, version, ps] = [
    figure('node -e 0', 'ms', samples['node'] ?? []),
    figure('coffer version', 'ms', samples['version'] ?? []),
    figure(`coffer ps --all with ${count} boxes`, 'ms', samples['ps'] ?? []),
  ]
  return {
    figures: [node, version, ps],
    beyondNodeMs: ps.p50 - node.p50,
    beyondVersionMs: ps.p50 - version.p50,
  }
}

async function runNode(words: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, words, {
    stdio: 'ignore',
    env: { ...process.env, COFFER_HOME: bench.home },
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${words.join(' ')} ended with exit code ${code}`)
}
