import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ImageProgress, LayersProgress } from './progress.ts'

const layers = [
  { digest: 'sha256:a', size: 1000 },
  { digest: 'sha256:b', size: 500 },
  { digest: 'sha256:a', size: 1000 },
]
/** Longer than any wait: what is not told by then never is. */
const longMs = 60_000

function startProgress(t: TestContext): { progress: LayersProgress; told: (string | number)[][] } {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const told: (string | number)[][] = []
  const listener = ({ layer }: ImageProgress): void => {
    if (layer !== undefined) told.push([layer.index, layer.phase, layer.bytes])
  }
  return { progress: new LayersProgress('app:1', layers, listener), told }
}

test('of a layer that stands still the last state is told, once', t => {
  const { progress, told } = startProgress(t)
  for (const bytes of [100, 200, 300]) progress.tell(1, 'downloading', bytes)
  assert.deepEqual(told, [[1, 'downloading', 100]])
  t.mock.timers.tick(longMs)
  const both = [
    [1, 'downloading', 100],
    [1, 'downloading', 300],
  ]
  assert.deepEqual(told, both)
  t.mock.timers.tick(longMs)
  assert.deepEqual(told, both)
})

test('each layer has its own last state', t => {
  const { progress, told } = startProgress(t)
  for (const bytes of [1, 2]) {
    progress.tellAll('sha256:a', 'downloading', bytes)
    progress.tell(1, 'downloading', bytes * 10)
  }
  t.mock.timers.tick(longMs)
  assert.deepEqual(told.slice(3).sort(), [
    [0, 'downloading', 2],
    [1, 'downloading', 20],
    [2, 'downloading', 2],
  ])
})

test('a new phase, and the end of one, are told at once and not followed by what is older', t => {
  const { progress, told } = startProgress(t)
  progress.tell(1, 'downloading', 100)
  progress.tell(1, 'downloading', 200)
  progress.tell(1, 'downloading', 500)
  progress.tell(1, 'merging', 10)
  progress.tell(1, 'merging', 20)
  progress.tell(1, 'done', 500)
  t.mock.timers.tick(longMs)
  assert.deepEqual(told, [
    [1, 'downloading', 100],
    [1, 'downloading', 500],
    [1, 'merging', 10],
    [1, 'done', 500],
  ])
})

test('after its end nothing is told', t => {
  const { progress, told } = startProgress(t)
  progress.tell(1, 'downloading', 100)
  progress.tell(1, 'downloading', 200)
  progress[Symbol.dispose]()
  progress.tell(1, 'done', 500)
  t.mock.timers.tick(longMs)
  assert.deepEqual(told, [[1, 'downloading', 100]])
})

test('a listener that throws when its time has come fails what tells next', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let count = 0
  using progress = new LayersProgress('app:1', layers, () => {
    if (++count === 2) throw new Error('of the listener')
  })
  progress.tell(1, 'downloading', 100)
  progress.tell(1, 'downloading', 200)
  t.mock.timers.tick(longMs)
  assert.equal(count, 2)
  assert.throws(() => progress.tell(1, 'done', 500), /of the listener/)
})

test('what is still to be told keeps no process', () => {
  using progress = new LayersProgress('app:1', layers, () => {})
  const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const before = timers()
  progress.tell(1, 'downloading', 100)
  progress.tell(1, 'downloading', 200)
  assert.equal(timers(), before)
})
