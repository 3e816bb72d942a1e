import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isCofferError } from '../../src/errors.ts'
import { cofferForThisFile } from '../cli/coffer.ts'
import { fails, succeeds } from '../cli/image-commands.ts'
import { openTestHome, smallBox, type TestHome } from '../home.ts'
import { file, runnableLayer, writeImage } from '../images/oci-image.ts'
import { failsWith } from '../registry/client.ts'
import { scratchDirectory } from '../scratch.ts'
import { startPodman } from './podman.ts'

// What names an image of Docker or Podman does so for boxes as well, in the library and on the command line.

const cli = cofferForThisFile({ sharedTemplates: true })

/** The daemon's socket for this process and those it starts, until the test is over. */
function useDaemon(t: TestContext, socket: string): void {
  process.env['DOCKER_HOST'] = `unix://${socket}`
  t.after(() => {
    delete process.env['DOCKER_HOST']
  })
}

/** What a home has of images in files. */
function imageFiles(home: TestHome): string[] {
  return readdirSync(join(home.path, 'images'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ name }) => name)
}

/** Files, records and locks of images: none may stay of an attempt that failed. */
async function assertNothingStays(home: TestHome): Promise<void> {
  assert.deepEqual(imageFiles(home), [])
  assert.deepEqual(await home.runtime.images.list(), [])
  assert.deepEqual(readdirSync(join(home.path, 'tmp')), [])
}

test('a box of an image of Podman asks for it at its first start only, and keeps to it', async t => {
  using scratch = scratchDirectory('daemon-box')
  await using home = await openTestHome({ ownImages: true })
  const podman = await startPodman(t, scratch.path)
  if (podman === undefined) return
  const config = { Entrypoint: ['/bin/cat'], Cmd: ['/motd'], Env: ['PATH=/bin'] }
  for (const version of ['1', '2'])
    writeImage(join(scratch.path, version), { layers: [runnableLayer(), [file('motd', version)]], config })
  await podman.load(join(scratch.path, '1'), 'docker.io/team/app:1')
  useDaemon(t, podman.socket)

  const options = { ...smallBox, image: 'docker-daemon:team/app:1' }
  const first = await home.runtime.create(options)
  await assertNothingStays(home)
  assert.equal((await first.run('cat', ['/motd'])).text, '1')
  assert.deepEqual(await first.commandLine(), ['/bin/cat', '/motd'])
  const [image] = await home.runtime.images.list()
  assert.deepEqual(image?.names, ['team/app:1'])
  assert.equal((await first.info()).imageDigest, image?.digest)

  // What the name means there later is for boxes that ask again.
  await podman.load(join(scratch.path, '2'), 'docker.io/team/app:1')
  await first.restart()
  assert.equal((await first.run('cat', ['/motd'])).text, '1')
  await using missing = await home.runtime.create({ ...options, ephemeral: true })
  assert.equal((await missing.run('cat', ['/motd'])).text, '1')
  await using always = await home.runtime.create({ ...options, pull: 'always', ephemeral: true })
  assert.equal((await always.run('cat', ['/motd'])).text, '2')
  await home.runtime.remove(first.id, { force: true })
})

test('an image that Podman made itself is found here under its short name, and a box to come keeps it', async t => {
  using scratch = scratchDirectory('daemon-box')
  await using home = await openTestHome({ ownImages: true })
  const podman = await startPodman(t, scratch.path)
  if (podman === undefined) return
  const { images } = home.runtime
  writeImage(join(scratch.path, 'own'), { layers: [[file('motd', 'own')]] })
  await podman.load(join(scratch.path, 'own'), 'localhost/own/app:1')
  useDaemon(t, podman.socket)
  const { digest, names } = await images.pull('docker-daemon:own/app:1')
  assert.deepEqual(names, ['localhost/own/app:1'])
  useDaemon(t, '/nowhere')
  assert.equal((await images.pull('docker-daemon:own/app:1', { policy: 'missing' })).digest, digest)
  await assert.rejects(images.pull('docker-daemon:own/app:1'), failsWith('upstream_unavailable', '/nowhere'))
  await home.runtime.create({ ...smallBox, image: 'docker-daemon:own/app:1' }, 'to-come')
  await assert.rejects(images.remove('localhost/own/app:1'), failsWith('invalid_state', 'to-come'))
})

test('an image that Podman does not have is no image, and leaves nothing', async t => {
  using scratch = scratchDirectory('daemon-box')
  await using home = await openTestHome({ ownImages: true })
  const podman = await startPodman(t, scratch.path)
  if (podman === undefined) return
  useDaemon(t, podman.socket)
  const box = await home.runtime.create({ ...smallBox, image: 'docker-daemon:team/none:1' })
  await assert.rejects(box.start(), failsWith('not_found', 'team/none:1', 'podman images'))
  await assertNothingStays(home)
})

test('without a daemon a box says how to get one, and nothing is left', async t => {
  await using home = await openTestHome({ ownImages: true })
  useDaemon(t, join(home.path, 'no-socket'))
  const image = 'docker-daemon:team/app:1'
  const box = await home.runtime.create({ ...smallBox, image })
  await assert.rejects(
    box.start(),
    failsWith('upstream_unavailable', 'no-socket', 'team/app:1', 'DOCKER_HOST'),
  )
  const never = await home.runtime.create({ ...smallBox, image, pull: 'never' })
  await assert.rejects(never.start(), failsWith('not_found', image, 'may not be pulled'))
  await assertNothingStays(home)
})

test('a daemon that sends no image, or half of one, leaves nothing', async t => {
  using scratch = scratchDirectory('daemon-box')
  await using home = await openTestHome({ ownImages: true })
  const { digest } = writeImage(join(scratch.path, 'image'), { layers: [[file('a', 'a')]] })
  const server = createServer((asked, answer) => {
    answer.writeHead(200)
    if (asked.url === '/images/cut:latest/get') answer.write(digest, () => answer.destroy())
    else answer.end(Buffer.alloc(1024))
  })
  const socket = join(scratch.path, 'sock')
  server.listen(socket)
  await once(server, 'listening')
  t.after(() => server.close())
  useDaemon(t, socket)
  for (const name of ['cut', 'empty']) {
    const box = await home.runtime.create({ ...smallBox, image: `docker-daemon:${name}` })
    await assert.rejects(box.start(), error => isCofferError(error) && error.message.includes(name), name)
    await assertNothingStays(home)
  }
})

test('what names an image of a daemon names nothing else: no new image, no registry', async () => {
  await using home = await openTestHome({ ownImages: true })
  const { images } = home.runtime
  for (const image of ['docker-daemon:', 'docker-daemon:Upper', 'docker-daemon:https://x/y'])
    await assert.rejects(home.runtime.create({ image }), failsWith('invalid_argument'), image)
  using scratch = scratchDirectory('daemon-box')
  writeImage(join(scratch.path, 'image'), { layers: [[file('a', 'a')]] })
  await images.load(join(scratch.path, 'image'), { name: 'team/app' })
  await assert.rejects(
    images.tag('team/app:image', 'docker-daemon:x'),
    failsWith('invalid_argument', 'Podman'),
  )
  await assert.rejects(
    images.push('team/app:image', 'docker-daemon:x'),
    failsWith('unsupported', 'docker load'),
  )
  await images.tag('team/app:image', 'docker.io/library/docker-daemon:x')
  assert.ok((await images.get('team/app:image')).names.includes('docker.io/library/docker-daemon:x'))
})

test('the command line takes the same names for boxes and for pulls', async t => {
  using scratch = scratchDirectory('daemon-box')
  const podman = await startPodman(t, scratch.path)
  if (podman === undefined) return
  const layers = [runnableLayer(), [file('motd', 'told\n')]]
  writeImage(join(scratch.path, 'image'), {
    layers,
    config: { Cmd: ['/bin/cat', '/motd'] },
  })
  await podman.load(join(scratch.path, 'image'), 'docker.io/team/app:1')
  useDaemon(t, podman.socket)
  assert.equal(await succeeds(cli, 'run', '--memory', '192', 'docker-daemon:team/app:1'), 'told\n')
  assert.match(await fails(cli, 'run', 'docker-daemon:team/none'), /has no such image/)
  assert.equal(await succeeds(cli, 'ps', '-aq'), '')
  const pulled = (await succeeds(cli, 'pull', 'docker-daemon:team/app:1')).trim()
  assert.match(pulled, /^team\/app:1@sha256:[0-9a-f]{64}$/)
  useDaemon(t, '/nowhere')
  const id = (await succeeds(cli, 'create', '--memory', '192', pulled)).trim()
  assert.equal(await succeeds(cli, 'exec', id, 'cat', '/motd'), 'told\n')
})
