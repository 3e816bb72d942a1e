import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import type { Box, Execution } from '../../src/index.ts'
import { openTestHome, smallBox, type TestHome } from '../home.ts'

let home: TestHome
let box: Box
before(async () => {
  home = await openTestHome()
  box = await home.runtime.create(smallBox, 'interleaving')
  await box.start()
})
after(() => home[Symbol.asyncDispose]())

type Step =
  | { readonly do: 'write'; readonly bytes: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'signal' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('write' as const), bytes: fc.integer({ min: 0, max: 400_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 20 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('signal' as const) }) },
)

const stream = fc.record({
  steps: fc.array(step, { maxLength: 8 }),
  /** Milliseconds the reader sleeps after each chunk, in turn. */
  pauses: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 }),
  toStderr: fc.boolean(),
})

test('whatever the interleaving of writes, reads, pauses, signals and closes, each byte arrives once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(stream, { minLength: 1, maxLength: 12 }), async streams => {
      await Promise.all(streams.map(run))
    }),
    { numRuns: 25 },
  )
})

async function run({
  steps,
  pauses,
  toStderr,
}: {
  steps: readonly Step[]
  pauses: readonly number[]
  toStderr: boolean
}): Promise<void> {
  const execution = await box.exec('sh', ['-c', toStderr ? 'exec cat >&2' : 'exec cat'], { stdin: 'pipe' })
  const sent = createHash('sha256')
  const [received, silent] = await Promise.all([
    read(toStderr ? execution.stderr : execution.stdout, pauses),
    read(toStderr ? execution.stdout : execution.stderr, [0]),
    write(execution, steps, sent),
  ])
  assert.equal(received, sent.digest('hex'))
  assert.equal(silent, createHash('sha256').digest('hex'))
}

async function write(
  execution: Execution,
  steps: readonly Step[],
  sent: ReturnType<typeof createHash>,
): Promise<void> {
  const { stdin } = execution
  assert.ok(stdin)
  for (const next of steps) {
    if (next.do === 'wait') await sleep(next.ms)
    else if (next.do === 'signal') await execution.signal('WINCH')
    else {
      const bytes = randomBytes(next.bytes)
      sent.update(bytes)
      await new Promise<void>((resolve, reject) =>
        stdin.write(bytes, error => (error ? reject(error) : resolve())),
      )
    }
  }
  stdin.end()
}

async function read(source: AsyncIterable<Buffer>, pauses: readonly number[]): Promise<string> {
  const hash = createHash('sha256')
  let index = 0
  for await (const chunk of source) {
    hash.update(chunk)
    const pause = pauses[index++ % pauses.length] ?? 0
    if (pause > 0) await sleep(pause)
  }
  return hash.digest('hex')
}
