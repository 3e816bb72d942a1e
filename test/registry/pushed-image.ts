import { randomBytes } from 'node:crypto'
import { openClient, quickRetry, type UploadedImage, uploadImage } from './client.ts'
import { type Exchange, type Front, isBlob, type SeenRequest, startFront } from './front.ts'
import { startRegistry, type TestRegistry } from './registry.ts'
import { startedForThisFile } from './started.ts'

/** A real registry with an image of one layer, to be used once the tests run, and servers before it that misbehave. */
export type ServedImage = {
  readonly registry: TestRegistry
  readonly image: UploadedImage
  /** A server before the registry whose blobs are answered by `answer`. */
  frontForBlobs(answer: (exchange: Exchange) => void | Promise<void>): Promise<Front>
}

export const name = 'team/app:1'
/** Of the layer, in bytes. */
export const size = 400_000

// Undici looks at its clock once a second.
export const twice = { ...quickRetry, attempts: 2 }

/** For all tests of the file that calls it. */
export function pushedImageForThisFile(): ServedImage {
  const running = startedForThisFile(async () => {
    const registry = await startRegistry()
    await using client = openClient()
    return { registry, image: await uploadImage(client, `${registry.host}/${name}`, randomBytes(size)) }
  })
  return {
    get registry() {
      return running().registry
    },
    get image() {
      return running().image
    },
    async frontForBlobs(answer) {
      const front = await startFront(running().registry.host)
      front.answer = exchange => (isBlob(exchange) ? answer(exchange) : exchange.forward())
      return front
    },
  }
}

export function blobRequests(front: Front): SeenRequest[] {
  return front.requests.filter(isBlob)
}
