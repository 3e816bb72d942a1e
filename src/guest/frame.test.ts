import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeCredit, encodeFrame, type Frame, FrameDecoder, ProtocolError, rewriteStream } from './frame.ts'
import { channels, frameTypes, headerBytes, maxControlBytes, maxDataBytes } from './protocol.ts'

const anyFrame = fc.record({
  type: fc.constantFrom(...Object.values(frameTypes)),
  stream: fc.nat(0xffffffff),
  flags: fc.nat(255),
  payload: fc.uint8Array({ maxLength: 300 }),
})

test('frames come out as they went in, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (sent, cuts) => {
        const wire = Buffer.concat(
          sent.map(frame => encodeFrame(frame.type, frame.stream, frame.payload, frame.flags)),
        )
        const decoder = new FrameDecoder()
        const received: Frame[] = []
        for (const chunk of cut(wire, cuts)) received.push(...decoder.push(chunk))
        assert.deepEqual(
          received.map(frame => ({
            ...frame,
            payload: frame.payload.toString('hex'),
            raw: frame.raw.toString('hex'),
          })),
          sent.map(frame => ({
            ...frame,
            payload: Buffer.from(frame.payload).toString('hex'),
            raw: encodeFrame(frame.type, frame.stream, frame.payload, frame.flags).toString('hex'),
          })),
        )
      },
    ),
  )
})

test('arbitrary bytes either decode or throw ProtocolError, and never cost more than one frame', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), chunks => {
      const decoder = new FrameDecoder()
      try {
        for (const chunk of chunks)
          for (const frame of decoder.push(Buffer.from(chunk)))
            assert.ok(frame.payload.length <= maxControlBytes)
      } catch (error) {
        assert.ok(error instanceof ProtocolError)
      }
    }),
    { numRuns: 5_000 },
  )
})

test('a stdio frame over the bound is refused by its header alone', () => {
  const header = encodeFrame(frameTypes.stdout, 1)
  header.writeUInt32LE(maxDataBytes + 1, 0)
  assert.throws(() => [...new FrameDecoder().push(header)], ProtocolError)
})

test('a control frame over the bound is refused by its header alone', () => {
  const header = encodeFrame(frameTypes.exec, 1)
  header.writeUInt32LE(maxControlBytes + 1, 0)
  assert.throws(() => [...new FrameDecoder().push(header)], ProtocolError)
})

test('an unknown type and reserved bits are refused', () => {
  assert.throws(() => [...new FrameDecoder().push(encodeFrame(200, 1))], ProtocolError)
  const reserved = encodeFrame(frameTypes.stdout, 1)
  reserved.writeUInt16LE(1, 10)
  assert.throws(() => [...new FrameDecoder().push(reserved)], ProtocolError)
})

test('a credit frame carries its channel and count', () => {
  const [frame] = [...new FrameDecoder().push(encodeCredit(7, channels.stderr, 4096))]
  assert.equal(frame?.stream, 7)
  assert.equal(frame?.flags, channels.stderr)
  assert.equal(frame?.payload.readUInt32LE(0), 4096)
})

test('a relay can rewrite the stream of a frame in place', () => {
  const raw = encodeFrame(frameTypes.stdout, 7, Buffer.from('abc'))
  const [frame] = [...new FrameDecoder().push(rewriteStream(raw, 9))]
  assert.equal(frame?.stream, 9)
  assert.equal(frame?.raw.length, headerBytes + 3)
})

function* cut(wire: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let position = 0, index = 0; position < wire.length; index++) {
    const size = sizes[index % sizes.length] ?? 1
    yield wire.subarray(position, position + size)
    position += size
  }
}

test('a small frame that is kept does not keep the large chunk it came in', () => {
  const small = encodeFrame(frameTypes.stdout, 1, Buffer.alloc(10))
  const large = encodeFrame(frameTypes.stdout, 2, Buffer.alloc(maxDataBytes))
  const frames = [...new FrameDecoder().push(Buffer.concat([small, large]))]
  assert.equal(frames[0]?.raw.buffer.byteLength, small.length)
  assert.equal(frames[0]?.payload.length, 10)
  assert.equal(frames[1]?.payload.length, maxDataBytes)
})
