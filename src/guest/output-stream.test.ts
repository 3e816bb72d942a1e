import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import fc from 'fast-check'
import { OutputStream } from './output-stream.ts'
import { maxDataBytes, windowBytes } from './protocol.ts'

/** A guest that sends whatever it may, in pieces of `sizes`. */
function sender(total: number, sizes: readonly number[]) {
  let credit = windowBytes
  let sent = 0
  const stream = new OutputStream(bytes => {
    credit += bytes
    assert.ok(credit <= windowBytes, 'more credit than a window')
    send()
  })
  let piece = 0
  function send(): void {
    while (credit > 0 && sent < total) {
      const length = Math.min(credit, total - sent, sizes[piece++ % sizes.length] ?? 1)
      credit -= length
      sent += length
      stream.receive(Buffer.alloc(length, sent % 251))
    }
    if (sent === total) stream.finish()
  }
  return { stream, send, sent: () => sent }
}

test('a reader that stops costs one window, wherever it stops', async () => {
  for (const sizes of [[maxDataBytes], [1000], [64 * 1024, 1]]) {
    const { stream, send, sent } = sender(100 * windowBytes, sizes)
    send()
    for (let taken = 0; taken < 10 * windowBytes; ) {
      assert.ok(sent() - taken <= windowBytes, `${sent() - taken} bytes wait`)
      const chunk: Buffer | null = stream.read()
      if (chunk === null) await once(stream, 'readable')
      else taken += chunk.length
    }
    stream.destroy()
  }
})

test('whoever reads, and however: every byte arrives, and credit never exceeds the window', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(3 * windowBytes),
      fc.array(fc.integer({ min: 1, max: maxDataBytes }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom('flow', 'iterate', 'paused'),
      async (total, sizes, how) => {
        const { stream, send } = sender(
          total,
          sizes.map(size => Math.max(size, 500)),
        )
        setImmediate(send)
        assert.equal(await readers[how](stream), total)
      },
    ),
    { numRuns: 60 },
  )
})

const readers = {
  async flow(stream: OutputStream): Promise<number> {
    let bytes = 0
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      // Now and then it stops, and goes on later.
      if (bytes % 3 === 0) {
        stream.pause()
        setImmediate(() => stream.resume())
      }
    })
    await once(stream, 'end')
    return bytes
  },
  async iterate(stream: OutputStream): Promise<number> {
    let bytes = 0
    for await (const chunk of stream) bytes += chunk.length
    return bytes
  },
  async paused(stream: OutputStream): Promise<number> {
    let bytes = 0
    stream.on('readable', () => {
      for (
        let chunk = stream.read(10_000) ?? stream.read();
        chunk !== null;
        chunk = stream.read(10_000) ?? stream.read()
      )
        bytes += chunk.length
    })
    await once(stream, 'end')
    return bytes
  },
}
