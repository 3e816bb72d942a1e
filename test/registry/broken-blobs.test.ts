import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DigestVerifier } from '../../src/image/digest.ts'
import { parseReference } from '../../src/image/reference.ts'
import { collect, failsWith, openClient, quickRetry } from './client.ts'
import type { Front } from './front.ts'
import { blobRequests, name, pushedImageForThisFile, size, twice } from './pushed-image.ts'

// The blobs of a real registry behind a server that cuts them, stalls and lies about them.

const pushed = pushedImageForThisFile()
const ranges = (front: Front) => blobRequests(front).map(({ headers }) => headers.range)

test('a blob whose connection is cut three times is fetched by ranges, each byte once', async () => {
  await using front = await pushed.frontForBlobs(({ count, forward }) =>
    forward(count <= 3 ? { cutAfterBytes: 100_000 } : {}),
  )
  await using client = openClient()
  let counted = 0
  const onBytes = (bytes: number) => {
    counted += bytes
  }
  const reference = parseReference(`${front.host}/${name}`)
  const bytes = await collect(client.fetchBlob(reference, pushed.image.layerDescriptor, { onBytes }))
  assert.deepEqual(bytes, pushed.image.layer)
  assert.equal(counted, size)
  assert.equal(ranges(front).length, 4)
  for (const range of ranges(front).slice(1)) assert.match(range ?? '', /^bytes=\d+-399999$/)
})

test('a server that knows no ranges is asked again, and what is there already is skipped', async () => {
  await using front = await pushed.frontForBlobs(({ count, forward }) =>
    forward({ requestHeaders: { range: undefined }, ...(count === 1 && { cutAfterBytes: 150_000 }) }),
  )
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  assert.deepEqual(
    await collect(client.fetchBlob(reference, pushed.image.layerDescriptor)),
    pushed.image.layer,
  )
})

test('a download goes on where a verifier that hashed the first part stands, and a whole one needs no request', async () => {
  await using front = await pushed.frontForBlobs(({ forward }) => forward())
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  const verifier = new DigestVerifier(pushed.image.layerDescriptor)
  verifier.update(pushed.image.layer.subarray(0, 123_456))
  const rest = await collect(client.fetchBlob(reference, pushed.image.layerDescriptor, { verifier }))
  assert.deepEqual(rest, pushed.image.layer.subarray(123_456))
  assert.deepEqual(ranges(front), ['bytes=123456-399999'])

  const whole = new DigestVerifier(pushed.image.layerDescriptor)
  whole.update(pushed.image.layer)
  assert.equal(
    (await collect(client.fetchBlob(reference, pushed.image.layerDescriptor, { verifier: whole }))).length,
    0,
  )
  assert.equal(blobRequests(front).length, 1)
})

test('a first part that is not of the blob is found out at the end', async () => {
  await using client = openClient()
  const verifier = new DigestVerifier(pushed.image.layerDescriptor)
  verifier.update(Buffer.alloc(1000))
  const reference = parseReference(`${pushed.registry.host}/${name}`)
  await assert.rejects(
    collect(client.fetchBlob(reference, pushed.image.layerDescriptor, { verifier })),
    failsWith('image_pull_failed', 'digest'),
  )
})

test('cuts without progress end after a bounded number of tries', async () => {
  await using front = await pushed.frontForBlobs(({ forward }) => forward({ cutAfterBytes: 10 }))
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  await assert.rejects(
    collect(client.fetchBlob(reference, pushed.image.layerDescriptor)),
    failsWith('network_unavailable', front.host),
  )
  assert.equal(blobRequests(front).length, quickRetry.attempts)
})

test('a Content-Length that is not the announced size is refused before the body', async () => {
  for (const length of [String(size - 1), String(size + 1)]) {
    await using front = await pushed.frontForBlobs(({ forward }) =>
      forward({ headers: { 'content-length': length }, body: () => Buffer.alloc(Number(length)) }),
    )
    await using client = openClient()
    const reference = parseReference(`${front.host}/${name}`)
    await assert.rejects(
      collect(client.fetchBlob(reference, pushed.image.layerDescriptor)),
      failsWith('image_pull_failed', length, String(size)),
    )
  }
})

test('more bytes than announced end the download at the announced size', async () => {
  const headers = { 'content-length': undefined, 'transfer-encoding': 'chunked' }
  await using front = await pushed.frontForBlobs(({ forward }) =>
    forward({ headers, body: body => Buffer.concat([body, Buffer.alloc(1 << 20)]) }),
  )
  await using client = openClient()
  let received = 0
  const fetching = async () => {
    const reference = parseReference(`${front.host}/${name}`)
    for await (const chunk of client.fetchBlob(reference, pushed.image.layerDescriptor))
      received += chunk.length
  }
  await assert.rejects(fetching(), failsWith('image_pull_failed', 'longer'))
  assert.ok(received <= size)
})

test('fewer bytes than announced, in a body that ends properly, are fetched to the end by a range', async () => {
  const headers = { 'content-length': undefined, 'transfer-encoding': 'chunked' }
  await using front = await pushed.frontForBlobs(({ count, forward }) =>
    forward(count === 1 ? { headers, body: body => body.subarray(0, 200_000) } : {}),
  )
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  assert.deepEqual(
    await collect(client.fetchBlob(reference, pushed.image.layerDescriptor)),
    pushed.image.layer,
  )
  assert.deepEqual(ranges(front), [undefined, 'bytes=200000-399999'])
})

test('wrong bytes of the right length are refused at the end, and not tried again', async () => {
  await using front = await pushed.frontForBlobs(({ forward }) =>
    forward({ body: body => Buffer.concat([body.subarray(0, -1), Buffer.from([(body.at(-1) ?? 0) ^ 1])]) }),
  )
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  await assert.rejects(collect(client.fetchBlob(reference, pushed.image.layerDescriptor)), error =>
    failsWith('image_pull_failed', pushed.image.layerDescriptor.digest)(error),
  )
  assert.equal(blobRequests(front).length, 1)
})

test('a range that is answered with another one is refused', async () => {
  await using front = await pushed.frontForBlobs(({ count, forward }) =>
    forward(
      count === 1 ? { cutAfterBytes: 100_000 } : { headers: { 'content-range': `bytes 5-399999/${size}` } },
    ),
  )
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  await assert.rejects(
    collect(client.fetchBlob(reference, pushed.image.layerDescriptor)),
    failsWith('image_pull_failed', 'another part'),
  )
})

test('a blob that is sent compressed is refused', async () => {
  await using front = await pushed.frontForBlobs(({ forward }) =>
    forward({ headers: { 'content-encoding': 'gzip' } }),
  )
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  await assert.rejects(
    collect(client.fetchBlob(reference, pushed.image.layerDescriptor)),
    failsWith('image_pull_failed', 'gzip'),
  )
})

test('a body that stops coming is a timeout, after the tries that are due', async () => {
  await using front = await pushed.frontForBlobs(({ response }) => {
    response.writeHead(200, { 'content-length': String(size) })
    response.write(Buffer.alloc(10))
  })
  await using client = openClient({}, { timeouts: { stallMs: 50 }, retry: twice })
  const reference = parseReference(`${front.host}/${name}`)
  await assert.rejects(
    collect(client.fetchBlob(reference, pushed.image.layerDescriptor)),
    failsWith('timeout', front.host),
  )
  assert.equal(blobRequests(front).length, twice.attempts)
})

test('a consumer that leaves ends the transfer', async () => {
  let closed = Promise.resolve()
  await using front = await pushed.frontForBlobs(({ response }) => {
    closed = new Promise(resolve => response.once('close', resolve))
    response.writeHead(200, { 'content-length': String(size) })
    response.write(Buffer.alloc(1000))
  })
  await using client = openClient()
  const reference = parseReference(`${front.host}/${name}`)
  for await (const _ of client.fetchBlob(reference, pushed.image.layerDescriptor)) break
  await closed
})
