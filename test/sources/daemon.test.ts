import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { isCofferError } from '../../src/errors.ts'
import { tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { loadFromDaemon } from '../../src/image/sources/daemon.ts'
import { makeLayout } from './images.ts'
import { startPodman } from './podman.ts'
import { testStore } from './store.ts'

test('an image of Podman is loaded through its socket', async t => {
  using home = testStore()
  const podman = await startPodman(t, home.path)
  if (podman === undefined) return
  const layout = makeLayout(home.at('layout'))
  await podman.load(layout, 'docker.io/team/app:1')
  const environment = { DOCKER_HOST: `unix://${podman.socket}` }
  const image = await loadFromDaemon('team/app:1', home.store, { environment })
  assert.ok(home.store.context.store.images.findName('docker.io/team/app:1') !== undefined)
  await home.store.prepare(image.digest)
  await assert.rejects(loadFromDaemon('team/nothing', home.store, { environment }), error =>
    isCofferError(error, 'not_found'),
  )
})

test('a daemon that is not there, or not on this machine, is said', async () => {
  using home = testStore()
  const refuses = async (environment: NodeJS.ProcessEnv, code: string): Promise<void> =>
    void (await assert.rejects(
      loadFromDaemon('alpine', home.store, { environment }),
      error => isCofferError(error) && error.code === code && error.hint !== undefined,
    ))
  await refuses({ DOCKER_HOST: `unix://${home.at('nothing')}` }, 'upstream_unavailable')
  await refuses({ DOCKER_HOST: 'tcp://192.0.2.1:2375' }, 'unsupported')
})

test('a daemon that refuses, ends early or is given up leaves nothing', async t => {
  using home = testStore()
  const socket = home.at('sock')
  const archive = tarArchive([{ path: 'a/layer.tar', content: Buffer.alloc(300_000) }])
  const server = createServer((asked, answer) => {
    if (asked.url === '/images/cut:latest/get') {
      answer.writeHead(200, { 'content-length': archive.length })
      answer.write(archive.subarray(0, 200_000), () => answer.destroy())
    } else if (asked.url === '/images/slow:latest/get') {
      answer.writeHead(200)
      answer.write(archive.subarray(0, 2000))
    } else {
      answer.writeHead(500, { 'content-type': 'application/json' })
      answer.end(JSON.stringify({ message: 'no\u001b[31m space' }))
    }
  })
  server.listen(socket)
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const environment = { DOCKER_HOST: `unix://${socket}` }
  await assert.rejects(
    loadFromDaemon('broken', home.store, { environment }),
    error => isCofferError(error, 'upstream_unavailable') && error.message.includes('no [31m space'),
  )
  await assert.rejects(loadFromDaemon('cut', home.store, { environment }), error =>
    isCofferError(error, 'upstream_unavailable'),
  )
  const controller = new AbortController()
  await assert.rejects(
    loadFromDaemon('slow', home.store, {
      environment,
      signal: controller.signal,
      onBytes: () => controller.abort(),
    }),
    error => isCofferError(error, 'aborted'),
  )
  assert.deepEqual(home.store.content.list(), [])
})
