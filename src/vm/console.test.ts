import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { scratchDirectory } from '../../test/scratch.ts'
import { ConsoleLog, ConsoleTail, consoleFileBytes } from './console.ts'

test('a console that never stops keeps its last words in two bounded files', async () => {
  using scratch = scratchDirectory('console')
  const path = join(scratch.path, 'console.log')
  const source = new PassThrough()
  using _log = new ConsoleLog(source, path)
  const chunk = Buffer.alloc(100_000, 'x')
  for (let index = 0; index < 100; index++) source.write(chunk)
  source.end('the last words')
  await new Promise(resolve => source.once('end', resolve))
  assert.ok(statSync(path).size <= consoleFileBytes)
  assert.ok(statSync(`${path}.1`).size <= consoleFileBytes)
  assert.ok(readFileSync(path, 'utf8').endsWith('the last words'))
})

test('the tail in memory is bounded too', async () => {
  const source = new PassThrough()
  const tail = new ConsoleTail(source)
  for (let index = 0; index < 100; index++) source.write(Buffer.alloc(10_000, 'y'))
  source.end('end')
  await new Promise(resolve => source.once('end', resolve))
  assert.ok(tail.text.endsWith('yend'))
  assert.ok(tail.text.length <= 16 * 1024)
})
