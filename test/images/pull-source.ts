import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { openTestHome, type TestHome } from '../home.ts'
import { type Exchange, type Front, type SeenRequest, startFront } from '../registry/front.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { startedForThisFile } from '../registry/started.ts'
import { file, type PushedImage, pushImage } from './oci-image.ts'

/** Where the images of a test come from: a real registry, with an image of four layers, to be used once the tests run. */
export type PullSource = {
  readonly registry: TestRegistry
  readonly image: PushedImage
  /** A server before the registry that counts and, where a test says so, cuts and lies. */
  front(answer?: (exchange: Exchange) => void | Promise<void>): Promise<Front>
}

/** For all tests of the file that calls it. */
export function pullSourceForThisFile(): PullSource {
  const running = startedForThisFile(async () => {
    const registry = await startRegistry()
    const image = await pushImage(registry, 'team/app:1', {
      layers: [300_000, 200_000, 100_000, 50_000].map((bytes, index) => [
        file(`file-${index}`, randomBytes(bytes)),
      ]),
      config: { Cmd: ['/bin/app'], Env: ['A=b=c'], Labels: { team: 'x' } },
    })
    return { registry, image }
  })
  return {
    get registry() {
      return running().registry
    },
    get image() {
      return running().image
    },
    async front(answer) {
      const front = await startFront(running().registry.host)
      if (answer !== undefined) front.answer = answer
      return front
    },
  }
}

/** How the image, or another one, is named at a front. */
export function through(front: Front, name = 'team/app:1'): string {
  return `${front.host}/${name}`
}

/** Whether a blob is asked for. */
export function isOf(digest: string | undefined, { method, path }: Omit<SeenRequest, 'headers'>): boolean {
  return method === 'GET' && path.includes('/blobs/') && path.endsWith(`${digest}`)
}

/** The digests of the blobs that were asked for. */
export function blobRequests(front: Front): string[] {
  return front.requests
    .filter(request => isOf('', request))
    .map(({ path }) => path.slice(path.lastIndexOf('/') + 1))
    .sort()
}

/** With its configuration. */
export function everyBlobOnce({ layers }: PushedImage): number {
  return layers.length + 1
}

export async function ownHome(): Promise<TestHome> {
  return await openTestHome({ ownImages: true })
}

/** What a home has of images in files. */
export function imageFiles(home: TestHome): string[] {
  const root = join(home.path, 'images')
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => !path.includes('busybox-'))
    .sort()
}
