import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { eventually, openTestHome, processesOf, smallBox, type TestHome } from '../home.ts'

// What leaks, leaks with every cycle. After the tenth all is loaded, compiled and cached that ever will be.

/** `COFFER_SOAK=200` is the long one. */
const cycles = Number(process.env['COFFER_SOAK'] ?? 25)
const warmCycles = 10
const memoryTolerance = 1.05

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

test('creating, using and removing boxes leaves nothing, however often', async t => {
  await using home = await openTestHome()
  await soak(home, t.diagnostic.bind(t), async index => {
    const box = await home.runtime.create(smallBox, `box-${index}`)
    assert.equal((await box.run('echo', [String(index)])).text, `${index}\n`)
    await home.runtime.remove(box.id, { force: true })
  })
})

test('stopping and starting a box leaves nothing, however often', async t => {
  await using home = await openTestHome()
  const box = await home.runtime.create(smallBox)
  await soak(home, t.diagnostic.bind(t), async index => {
    await box.start()
    const { text } = await box.shell('echo >> /root/starts; wc -l < /root/starts')
    assert.equal(text, `${index + 1}\n`)
    await box.stop()
  })
})

type Possessions = {
  readonly descriptors: number
  readonly processes: number
  readonly mounts: number
  readonly inodes: number
}

async function soak(
  home: TestHome,
  tell: (message: string) => void,
  cycle: (index: number) => Promise<void>,
): Promise<void> {
  const run = async (from: number, to: number): Promise<void> => {
    for (let index = from; index < to; index++) {
      await cycle(index)
      // The more garbage there is at once, the larger V8 makes its young space, which is no leak.
      collectGarbage()
    }
  }
  await run(0, warmCycles)
  const [warm, warmBytes] = [await settled(home), await residentBytes()]
  await run(warmCycles, cycles)
  const [last, lastBytes] = [await settled(home), await residentBytes()]
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
  tell(
    `${cycles} cycles: ${JSON.stringify(last)}, resident ${megabytes(warmBytes)} → ${megabytes(lastBytes)}`,
  )
  assert.deepEqual(last, warm)
  assert.ok(lastBytes <= warmBytes * memoryTolerance, `${megabytes(warmBytes)} → ${megabytes(lastBytes)}`)
}

/** What there is when what ends by itself has ended, and the one shim kept for the next start is there. */
async function settled(home: TestHome): Promise<Possessions> {
  await eventually(
    'one spare shim and no box is there',
    () => readdirSync(join(home.path, 'tmp')).length === 1 && processesOf(home.path).length === 0,
  )
  return possessionsOf(home)
}

function possessionsOf({ path }: TestHome): Possessions {
  return {
    // Less the one that reads them.
    descriptors: readdirSync('/proc/self/fd').length - 1,
    processes: processesOf(path).length,
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter(line => line.includes(path)).length,
    inodes: readdirSync(path, { recursive: true }).length,
  }
}

/** Of this process, its garbage collected: the middle of several looks. */
async function residentBytes(): Promise<number> {
  const samples: number[] = []
  for (let look = 0; look < 9; look++) {
    collectGarbage()
    // What was collected is given back by threads of their own.
    await new Promise(resolve => setTimeout(resolve, 20))
    samples.push(process.memoryUsage.rss())
  }
  return samples.sort((a, b) => a - b)[4] ?? 0
}
