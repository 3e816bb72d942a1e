import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { isCofferError } from '../../src/errors.ts'
import { tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { loadFromDaemon } from '../../src/image/sources/daemon.ts'
import { eventually } from '../home.ts'
import { makeLayout, run, skopeoCopy } from './images.ts'
import { type TestStore, testStore } from './store.ts'

/** A real Podman with a storage of its own, and its service on a socket. */
async function startPodman(
  t: TestContext,
  home: TestStore,
): Promise<{ socket: string; load(archive: string): Promise<void> } | undefined> {
  if (process.getuid?.() !== 0) return void t.skip('Podman in a directory of its own needs root here')
  const missing = await run('podman', '--version').then(
    () => false,
    () => true,
  )
  if (missing) return void t.skip('podman is not installed')
  mkdirSync(home.at('podman'))
  const storage = [
    '--root',
    home.at('podman/root'),
    '--runroot',
    home.at('podman/run'),
    '--storage-driver',
    'vfs',
  ]
  const common = [...storage, '--cgroup-manager', 'cgroupfs', '--events-backend', 'none']
  const socket = home.at('podman/sock')
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'podman', ...common, 'system', 'service', '--time=0', `unix://${socket}`],
    {
      stdio: 'ignore',
      env: { PATH: process.env['PATH'], HOME: home.at('podman') },
    },
  )
  t.after(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await eventually('podman listens', () => existsSync(socket))
  return {
    socket,
    load: async archive => void (await run('podman', ...common, 'load', '--quiet', '--input', archive)),
  }
}

test('an image of Podman is loaded through its socket', async t => {
  using home = testStore()
  const podman = await startPodman(t, home)
  if (podman === undefined) return
  const layout = makeLayout(home.at('layout'))
  await skopeoCopy(`oci:${layout}:image`, `docker-archive:${home.at('archive')}:docker.io/team/app:1`)
  await podman.load(home.at('archive'))
  const environment = { DOCKER_HOST: `unix://${podman.socket}` }
  const [image, ...others] = await loadFromDaemon('team/app:1', home.store, { environment })
  assert.ok(image !== undefined && others.length === 0)
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
      error => isCofferError(error) && error.code === code,
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
