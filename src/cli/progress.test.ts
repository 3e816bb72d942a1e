import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import type { LayerProgress } from '../image/progress.ts'
import { type ProgressMode, showProgress } from './progress.ts'

/** What progress writes, on a terminal of this size or on none. */
function progressOn(t: TestContext, mode: ProgressMode, screen?: { columns: number; rows: number }) {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
  let nowMs = 0
  t.mock.method(performance, 'now', () => nowMs)
  const stream = Object.assign(new PassThrough(), { isTTY: screen !== undefined, ...screen })
  const progress = showProgress(mode, stream as unknown as NodeJS.WriteStream)
  const written = (): string => String(stream.read() ?? '')
  const pass = (milliseconds: number): string => {
    nowMs += milliseconds
    t.mock.timers.tick(milliseconds)
    return written()
  }
  return { progress, stream, pass, written }
}

const layer: LayerProgress = {
  image: 'team/app:1',
  layer: `sha256:${'a1b2c3d4e5f6'.repeat(5)}abcd`,
  index: 0,
  layers: 2,
  phase: 'downloading',
  bytes: 0,
  totalBytes: 40_000_000,
}
const step = 'preparing image team/app:1'

/** The lines a terminal shows after `output`, which only draws a block and draws it again. */
function screenOf(output: string): string[] {
  const last = output.slice(output.lastIndexOf('\r') + 1)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  return last.replace(/\u001b\[[0-9;]*[A-Za-z]/g, '').split('\n')
}

test('on a terminal there is a title with a bar for each layer below, drawn in place and erased at the end', t => {
  const { progress, pass, written } = progressOn(t, 'all', { columns: 80, rows: 24 })
  progress.onProgress({ step, layer })
  progress.onProgress({ step, layer: { ...layer, index: 1, phase: 'waiting' } })
  pass(1000)
  progress.onProgress({ step, layer: { ...layer, bytes: 20_000_000 } })
  const output = pass(1000)
  assert.deepEqual(screenOf(output).slice(1), [
    'a1b2c3d4e5f6  downloading  [====>     ]    20.0 MB/40.0 MB   10.0 MB/s  2 s',
    'a1b2c3d4e5f6  waiting      [          ]        0 B/40.0 MB',
  ])
  assert.match(screenOf(output)[0] ?? '', /^. preparing image team\/app:1 \(2\.0 s\)$/)
  // Three lines: two up to the first.
  assert.ok(output.includes('\r\u001b[2A'))
  progress.stop()
  assert.equal(written(), '\r\u001b[2A\u001b[J')
  assert.equal(pass(10_000), '')
})

test('a terminal that became narrower has wrapped what is there: it goes up by as many lines', t => {
  const { progress, stream, pass, written } = progressOn(t, 'all', { columns: 80, rows: 24 })
  progress.onProgress({ step, layer })
  pass(100)
  stream.columns = 30
  stream.emit('resize')
  const output = written()
  // A title of 36 characters and a line of 58 take two lines each of 30.
  assert.ok(output.startsWith('\r\u001b[3A'), JSON.stringify(output))
  for (const line of screenOf(output)) assert.ok(line.length < 30, line)
  progress.stop()
})

test('no more lines are drawn than the terminal has', t => {
  const { progress, pass } = progressOn(t, 'all', { columns: 80, rows: 6 })
  for (let index = 0; index < 50; index++) progress.onProgress({ step, layer: { ...layer, index } })
  assert.equal(screenOf(pass(100)).length, 5)
  progress.stop()
})

test('what takes a moment only shows nothing; long work shows its step', t => {
  const { progress, pass } = progressOn(t, 'long', { columns: 80, rows: 24 })
  progress.onProgress({ step: 'starting the box' })
  assert.equal(pass(300), '')
  assert.match(screenOf(pass(200))[0] ?? '', /starting the box \(0\.5 s\)$/)
  progress.stop()
})

test('the title does not change to and fro while some layers are merged and others still come', t => {
  const { progress, pass } = progressOn(t, 'all', { columns: 80, rows: 24 })
  const titleAfter = (phase: LayerProgress['phase'], index: number): string => {
    const isPrepared = phase === 'merging' || phase === 'done'
    progress.onProgress({
      step: isPrepared ? 'preparing image' : 'pulling image',
      layer: { ...layer, index, phase },
    })
    return /(pulling|preparing)/.exec(screenOf(pass(100))[0] ?? '')?.[1] ?? ''
  }
  assert.equal(titleAfter('downloading', 1), 'pulling')
  assert.equal(titleAfter('merging', 0), 'pulling')
  assert.equal(titleAfter('merging', 1), 'preparing')
  progress.stop()
})

test('bars of an image go when the next step begins', t => {
  const { progress, pass } = progressOn(t, 'all', { columns: 80, rows: 24 })
  progress.onProgress({ step, layer })
  assert.equal(screenOf(pass(100)).length, 2)
  progress.onProgress({ step: 'starting the box' })
  assert.equal(screenOf(pass(100)).length, 1)
  progress.stop()
})

test('without a terminal there is a line for each layer that was fetched, none for one that was there, and no escape sequence', t => {
  const { progress, pass, written } = progressOn(t, 'all')
  progress.onProgress({ step: 'pulling image team/app:1' })
  for (const index of [0, 1, 2])
    progress.onProgress({ step, layer: { ...layer, index, phase: 'waiting', bytes: 0 } })
  for (let bytes = 0; bytes <= 40_000_000; bytes += 1_000_000) {
    progress.onProgress({ step: 'pulling image team/app:1', layer: { ...layer, bytes } })
    progress.onProgress({ step, layer: { ...layer, bytes, index: 2, phase: 'merging' } })
  }
  for (const index of [0, 1, 2, 2]) progress.onProgress({ step, layer: { ...layer, index, phase: 'done' } })
  assert.equal(
    written() + pass(10_000),
    'coffer: pulling image team/app:1 …\n' +
      'coffer: preparing image team/app:1 …\n' +
      'coffer: a1b2c3d4e5f6 done, 40.0 MB\n' +
      'coffer: a1b2c3d4e5f6 done, 40.0 MB\n',
  )
  progress.stop()
})

test('an image that comes for long in several steps at a time is told of once, when it has taken a moment', t => {
  const { progress, pass } = progressOn(t, 'long')
  let output = ''
  for (let bytes = 0; bytes < 40; bytes++) {
    progress.onProgress({ step: 'pulling image team/app:1', layer: { ...layer, bytes } })
    progress.onProgress({ step, layer: { ...layer, bytes, index: 1, phase: 'merging' } })
    output += pass(50)
  }
  assert.equal(output, 'coffer: pulling image team/app:1 …\n')
  progress.stop()
})

test('without a terminal, a step of other work is told when it takes long, however often it is heard of', t => {
  const { progress, pass } = progressOn(t, 'long')
  let output = ''
  for (let bytes = 0; bytes < 30; bytes++) {
    progress.onProgress({ step: 'loading app.tar', detail: `${bytes} B` })
    output += pass(50)
  }
  assert.equal(output, 'coffer: loading app.tar …\n')
  progress.onProgress({ step: 'and another' })
  progress.stop()
  assert.equal(pass(5000), '')
})

test('with none, and whatever the image is called, the terminal is safe', t => {
  const silent = progressOn(t, 'none', { columns: 80, rows: 24 })
  silent.progress.onProgress({ step, layer })
  assert.equal(silent.pass(5000), '')
  t.mock.timers.reset()
  t.mock.reset()
  const { progress, pass } = progressOn(t, 'all', { columns: 80, rows: 24 })
  const evil = 'x\u001b]0;title\u0007\u009b2J\n\u202e'
  progress.onProgress({ step: `pulling ${evil}`, layer: { ...layer, image: evil, layer: evil } })
  assert.doesNotMatch(screenOf(pass(100)).join(''), /[\p{Cc}\p{Cf}]/u)
  progress.stop()
})
