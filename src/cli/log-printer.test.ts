import assert from 'node:assert/strict'
import { Writable, type WritableOptions } from 'node:stream'
import { test } from 'node:test'
import type { LogEntry } from '../runtime/options.ts'
import { LogPrinter } from './log-printer.ts'

const at = new Date('2030-01-01T00:00:00Z')
const later = new Date('2030-01-01T00:00:01Z')
const entry = (text: string, stream: LogEntry['stream'] = 'stdout', time = at): LogEntry => ({
  at: time,
  stream,
  data: Buffer.from(text, 'latin1'),
})

async function printed(entries: readonly LogEntry[], { timestamps = false, isTTY = false } = {}) {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  const stream = (name: LogEntry['stream']) => {
    const write: WritableOptions['write'] = (chunk, _encoding, done) => {
      chunks[name].push(chunk)
      done()
    }
    return Object.assign(new Writable({ write }), { isTTY }) as unknown as NodeJS.WriteStream
  }
  const printer = new LogPrinter(
    { timestamps, broken: new AbortController().signal },
    { stdout: stream('stdout'), stderr: stream('stderr') },
  )
  for (const each of entries) await printer.print(each)
  return {
    stdout: Buffer.concat(chunks.stdout).toString(isTTY ? 'utf8' : 'latin1'),
    stderr: Buffer.concat(chunks.stderr).toString(isTTY ? 'utf8' : 'latin1'),
  }
}

test('bytes stay what they are, each stream on its own', async () => {
  assert.deepEqual(
    await printed([entry('a\u0000\u00ff\r\n\u001b[2J'), entry('no', 'stderr'), entry('end')]),
    {
      stdout: 'a\u0000\u00ff\r\n\u001b[2Jend',
      stderr: 'no',
    },
  )
})

test('timestamps are those of the beginnings of lines, in each stream by itself', async () => {
  const entries = [
    entry('one\ntw'),
    entry('err', 'stderr'),
    entry('o\n', 'stdout', later),
    entry('\n', 'stdout', later),
    entry('or\n', 'stderr', later),
  ]
  assert.deepEqual(await printed(entries, { timestamps: true }), {
    stdout: '2030-01-01T00:00:00.000Z one\n2030-01-01T00:00:00.000Z two\n2030-01-01T00:00:01.000Z \n',
    stderr: '2030-01-01T00:00:00.000Z error\n',
  })
})

test('a terminal gets text only, also of characters that are cut in two', async () => {
  const { stdout } = await printed([entry('\u00c3'), entry('\u00bc\r\n\u001b[2J\ttab')], { isTTY: true })
  assert.equal(stdout, 'ü\n\u{fffd}[2J\ttab')
})
