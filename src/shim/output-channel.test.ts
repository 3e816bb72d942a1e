import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame, type Frame, FrameDecoder, ProtocolError } from '../guest/frame.ts'
import { flags, frameTypes, headerBytes, maxDataBytes, windowBytes } from '../guest/protocol.ts'
import { OutputChannel, type Reader } from './output-channel.ts'

const type = frameTypes.stdout

test('what is between the guest and its reader is never more than one window, whoever reads in turn', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          step: fc.constantFrom('send', 'send', 'send', 'read', 'read', 'client', 'shim'),
          bytes: fc.integer({ min: 1, max: maxDataBytes }),
        }),
        { maxLength: 200 },
      ),
      steps => {
        let guestCredit = windowBytes
        let sent = 0
        let taken = 0
        let unread = 0
        const shim: Reader = {
          kind: 'shim',
          take: bytes => {
            taken += bytes.length
          },
        }
        const client = (stream: number): Reader => ({
          kind: 'client',
          stream,
          send: frame => {
            assert.equal(frame.readUInt32LE(4), stream)
            unread += frame.length - headerBytes
          },
        })
        const channel = new OutputChannel(type, shim, bytes => {
          guestCredit += bytes
        })
        for (const [index, { step, bytes }] of steps.entries()) {
          if (step === 'send') {
            const length = Math.min(bytes, guestCredit)
            guestCredit -= length
            sent += length
            channel.receive(dataFrame(length))
          } else if (step === 'read') {
            const length = Math.min(bytes, unread)
            unread -= length
            taken += length
            channel.grantReader(length)
          } else {
            // What the last reader did not take it has nevertheless.
            taken += unread
            unread = 0
            channel.handTo(step === 'client' ? client(index + 1) : shim)
          }
          assert.equal(sent - taken, unread)
          assert.ok(unread + guestCredit <= windowBytes)
          assert.ok(guestCredit >= windowBytes / 2 || unread > 0, 'the guest waits for nobody')
        }
      },
    ),
  )
})

test('the end comes once to each reader, after all bytes', () => {
  const frames: Frame[] = []
  const decoder = new FrameDecoder()
  const client = (stream: number): Reader => ({
    kind: 'client',
    stream,
    send: frame => frames.push(...decoder.push(frame)),
  })
  const channel = new OutputChannel(type, client(7), () => assert.fail('nothing to grant after the end'))
  channel.receive(dataFrame(10, flags.end))
  assert.equal(channel.isDelivered, true)
  channel.handTo(client(8))
  assert.deepEqual(
    frames.map(({ stream, payload, flags: bits }) => [stream, payload.length, bits]),
    [
      [7, 10, 0],
      [7, 0, flags.end],
      [8, 0, flags.end],
    ],
  )
})

test('a guest that sends more than it was granted, and a client that grants more than it was sent, break the protocol', () => {
  const open = (): OutputChannel =>
    new OutputChannel(type, { kind: 'client', stream: 1, send: () => {} }, () => {})
  assert.throws(() => open().grantReader(1), ProtocolError)
  const channel = open()
  for (let sent = 0; sent < windowBytes; sent += maxDataBytes) channel.receive(dataFrame(maxDataBytes))
  assert.throws(() => channel.receive(dataFrame(1)), ProtocolError)
})

function dataFrame(length: number, bits = 0): Frame {
  const [frame] = new FrameDecoder().push(encodeFrame(type, 3, Buffer.alloc(length), bits))
  assert.ok(frame)
  return frame
}
