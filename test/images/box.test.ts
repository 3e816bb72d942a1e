import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Box, type BoxOptions, Runtime } from '../../src/index.ts'
import { openTestHome, smallBox, type TestHome } from '../home.ts'
import { debianImage, debianImageUnavailable } from '../layers/debian-image.ts'
import { failsWith } from '../registry/client.ts'
import { startFront } from '../registry/front.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { file, type PushedImage, pushImage, runnableLayer } from './oci-image.ts'

// What an image says is what happens in a box that is started from it.

let registry: TestRegistry
let home: TestHome
let image: PushedImage

const trap = `trap 'echo got QUIT; exit 3' QUIT
trap 'echo got TERM' TERM
echo up
while :; do sleep 0.1; done
`

before(async () => {
  registry = await startRegistry()
  home = await openTestHome({ ownImages: true })
  image = await pushImage(registry, 'box/full:1', {
    layers: [
      runnableLayer(),
      [file('entry', '#!/bin/sh\necho entry "$@"\n', { mode: 0o755 }), file('trap', trap)],
    ],
    config: {
      Entrypoint: ['/entry'],
      Cmd: ['one', 'two'],
      Env: ['PATH=/bin:/made', 'FROM_IMAGE=yes', 'BOTH=image'],
      WorkingDir: '/made/by/workdir',
      User: 'app',
      Labels: { kind: 'image', both: 'image' },
      Volumes: { '/data': {}, '/var/lib/x/y': {} },
      ExposedPorts: { '8080/tcp': {} },
      StopSignal: 'SIGQUIT',
      Healthcheck: { Test: ['CMD-SHELL', 'test -e /tmp/ok'], Interval: 50_000_000, Retries: 1 },
    },
  })
})
after(async () => {
  await home[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
})

async function boxOf(options: BoxOptions = {}): Promise<Box & AsyncDisposable> {
  return await home.runtime.create({ ...smallBox, image: image.name, ephemeral: true, ...options })
}

async function logOf(box: Box): Promise<string> {
  const pieces: Buffer[] = []
  for await (const { data } of box.logs()) pieces.push(data)
  return Buffer.concat(pieces).toString()
}

test('commands run with the environment, user and directory of the image, unless box or command say otherwise', async () => {
  await using box = await boxOf({ env: { BOTH: 'box', FROM_BOX: 'yes' } })
  const { text } = await box.run('env')
  for (const line of ['PATH=/bin:/made', 'FROM_IMAGE=yes', 'BOTH=box', 'FROM_BOX=yes'])
    assert.ok(text.split('\n').includes(line), line)
  assert.equal((await box.run('id', ['-u'])).text, '1234\n')
  assert.equal((await box.run('pwd')).text, '/made/by/workdir\n')
  assert.equal((await box.run('id', ['-u'], { user: 'root' })).text, '0\n')
  assert.equal((await box.run('pwd', [], { cwd: '/' })).text, '/\n')
})

test('the working directory and volumes exist, as root’s, and links of the image lead nowhere else', async () => {
  await using box = await boxOf()
  const stat = await box.run('stat', ['-c', '%n %F %u %a', '/made/by/workdir', '/data', '/var/lib/x/y'])
  assert.equal(
    stat.text,
    '/made/by/workdir directory 0 755\n/data directory 0 755\n/var/lib/x/y directory 0 755\n',
  )
  const linked = await pushImage(registry, 'box/linked:1', {
    layers: [[...runnableLayer(), { path: 'out', flag: '2', linkPath: '../../etc/os-release' }]],
    config: { WorkingDir: '/out/inside', Volumes: { '/fine': {} } },
  })
  await using other = await boxOf({ image: linked.name })
  // What cannot be made is not there; the rest is.
  assert.equal((await other.run('/bin/ls', ['-d', '/fine'], { cwd: '/' })).text, '/fine\n')
  await assert.rejects(other.run('/bin/ls'), failsWith('execution_failed'))
})

test('a box’s own working directory is made where it is missing', async () => {
  await using box = await boxOf({ workdir: '/own/place' })
  assert.equal((await box.run('pwd')).text, '/own/place\n')
})

test('a box without a command idles; with `image` it runs what the image says, by Docker’s rules', async () => {
  const outputOf = async (options: BoxOptions): Promise<string> => {
    await using box = await boxOf({ ...options, ephemeral: false })
    await box.start()
    await box.wait()
    return logOf(box)
  }
  assert.equal(await outputOf({ command: 'image' }), 'entry one two\n')
  assert.equal(await outputOf({ command: ['mine'] }), 'entry mine\n')
  assert.equal(await outputOf({ entrypoint: ['/bin/echo'], command: ['mine'] }), 'mine\n')
  await using idle = await boxOf()
  await idle.start()
  assert.equal((await idle.info()).status, 'running')
  assert.deepEqual(await idle.commandLine(), ['/entry', 'one', 'two'])
  assert.deepEqual(await idle.commandLine(['ls', '-l']), ['/entry', 'ls', '-l'])
})

test('an image without a command of its own cannot be asked to run it', async () => {
  const bare = await pushImage(registry, 'box/bare:1', { layers: [runnableLayer()] })
  await using box = await boxOf({ image: bare.name, command: 'image' })
  await assert.rejects(box.start(), failsWith('invalid_argument', 'no command of its own'))
  assert.deepEqual(await box.commandLine(), [])
})

test('labels and ports of the image are told with the box’s own on top, once it was started', async () => {
  await using box = await boxOf({ labels: { both: 'box', own: 'box' } })
  assert.deepEqual((await box.info()).labels, { both: 'box', own: 'box' })
  assert.equal((await box.info()).imageDigest, undefined)
  await box.start()
  const { labels, exposedPorts, imageDigest } = await box.info()
  assert.deepEqual(labels, { kind: 'image', both: 'box', own: 'box' })
  assert.deepEqual(exposedPorts, ['8080/tcp'])
  assert.equal(imageDigest, image.digest)
})

test('the main process is asked to end by the image’s signal, and only by that', async () => {
  await using box = await boxOf({
    entrypoint: ['/bin/sh', '/trap'],
    user: 'root',
    ephemeral: false,
    healthCheck: 'none',
  })
  await box.start()
  await box.waitForLog('up')
  await box.stop()
  assert.equal((await box.wait()).exitCode, 3)
  assert.equal((await box.wait()).cause, 'stopped')
  const log = await logOf(box)
  assert.match(log, /^got QUIT$/m)
  assert.doesNotMatch(log, /TERM/)
  await home.runtime.remove(box.id)
})

test('a box’s own stop signal is before the image’s, and who does not end by it is killed when the time is over', async () => {
  const script = "trap 'exit 5' USR1; trap 'exit 6' QUIT; echo up; while :; do sleep 0.1; done"
  const entrypoint = ['/bin/sh', '-c', script]
  const box = await boxOf({ entrypoint, stopSignal: 'SIGUSR1', ephemeral: false })
  await box.start()
  await box.waitForLog('up')
  await box.stop()
  assert.equal((await box.wait()).exitCode, 5)
  const deaf = ['/bin/sh', '-c', "trap '' QUIT TERM; echo up; while :; do sleep 0.1; done"]
  const other = await boxOf({ entrypoint: deaf, ephemeral: false })
  await other.start()
  await other.waitForLog('up')
  await other.stop({ timeoutMs: 500 })
  assert.equal((await other.wait()).exitCode, -9)
  for (const { id } of [box, other]) await home.runtime.remove(id)
})

test('the image’s health check is the box’s, unless the box has its own or wants none', async () => {
  await using box = await boxOf()
  await box.start()
  await box.run('touch', ['/tmp/ok'])
  await box.waitUntilHealthy({ timeoutMs: 30_000 })
  await using none = await boxOf({ healthCheck: 'none' })
  await none.start()
  assert.equal((await none.info()).health.status, 'none')
  await assert.rejects(none.waitUntilHealthy(), failsWith('invalid_state', 'no health check'))
})

test('a box keeps the image it was first started from, wherever its name goes, also in another process and offline', async () => {
  const other = await startRegistry()
  const layers = (version: string) => [runnableLayer(), [file('version', version)]]
  const first = await pushImage(other, 'box/moving:1', { layers: layers('1') })
  const box = await home.runtime.create({ ...smallBox, image: first.name })
  assert.equal((await box.run('cat', ['/version'])).text, '1')
  await pushImage(other, 'box/moving:1', { layers: layers('2') })
  await home.runtime.images.pull(first.name)
  await other[Symbol.asyncDispose]()
  await box.restart()
  assert.equal((await box.run('cat', ['/version'])).text, '1')
  await using second = await home.open()
  await box.stop()
  assert.equal((await (await second.get(box.id)).run('cat', ['/version'])).text, '1')
  await using fresh = await home.runtime.create({ ...smallBox, image: first.name, ephemeral: true })
  assert.equal((await fresh.run('cat', ['/version'])).text, '2')
  await home.runtime.remove(box.id, { force: true })
})

test('the policies of a box: missing does not ask for what is here, always does, never fails on what is not', async () => {
  await using front = await startFront(registry.host)
  const name = `${front.host}/box/full:1`
  const never = await home.runtime.create({ ...smallBox, image: name, pull: 'never' })
  await assert.rejects(never.start(), failsWith('not_found', name, 'may not be pulled'))
  assert.equal(front.requests.length, 0)
  const steps: string[] = []
  await using missing = await boxOf({ image: name })
  await missing.start({ onProgress: ({ step, layer }) => steps.push(layer?.phase ?? step) })
  assert.ok(steps.includes('merging') || steps.includes('done'))
  const requests = front.requests.length
  await using again = await boxOf({ image: name })
  await again.start()
  assert.equal(front.requests.length, requests)
  await using always = await boxOf({ image: name, pull: 'always' })
  await always.run('id')
  assert.ok(front.requests.length > requests)
  await never.start()
  await home.runtime.remove(never.id, { force: true })
})

test('creating a box checks the image’s name and asks nobody', async () => {
  await using front = await startFront(registry.host)
  await using box = await boxOf({ image: `${front.host}/no/such:1` })
  assert.equal((await box.info()).status, 'configured')
  assert.equal(front.requests.length, 0)
  for (const name of ['Upper', 'https://host/x', 'a@sha256:1', ''])
    await assert.rejects(boxOf({ image: name }), failsWith('invalid_argument'), name)
  await assert.rejects(boxOf({ platform: 'linux/arm64' }), failsWith('unsupported'))
  await assert.rejects(boxOf({ pull: 'sometimes' as 'never' }), failsWith('invalid_argument', 'pull'))
  await assert.rejects(box.start(), failsWith('not_found', 'no/such'))
})

test('an image is found by its id, and its file is made again if somebody removed it', async () => {
  await home.runtime.images.pull(image.name)
  await using box = await boxOf({ image: image.digest, pull: 'never' })
  assert.equal((await box.run('id', ['-u'])).text, '1234\n')
  await box.stop()
  rmSync(join(home.path, 'images', 'rootfs'), { recursive: true })
  await using other = await boxOf({ image: image.digest.slice(7, 7 + 16) })
  assert.equal((await other.run('id', ['-u'])).text, '1234\n')
})

test('the built-in image needs no registry and no record', async () => {
  await using own = await openTestHome({ ownImages: true })
  await using box = await own.runtime.create({ ...smallBox, ephemeral: true })
  assert.match((await box.run('cat', ['/etc/os-release'])).text, /Coffer/)
  assert.equal((await box.info()).imageDigest, undefined)
  assert.equal((await own.runtime.images.list()).length, 1)
})

test('Debian runs as it is', { skip: debianImageUnavailable() ?? false }, async () => {
  const { layoutDirectory, tag } = await debianImage()
  await registry.push(`oci:${layoutDirectory}:${tag}`, 'box/debian:12')
  await using box = await boxOf({ image: `${registry.host}/box/debian:12` })
  assert.match((await box.run('cat', ['/etc/os-release'])).text, /^ID=debian$/m)
  assert.equal((await box.run('python3', ['-c', 'print(6 * 7)'])).text, '42\n')
  assert.deepEqual(await box.commandLine(), ['/bin/bash'])
})

test('options of images are checked', async () => {
  await assert.rejects(
    Runtime.open({ home: home.path, images: { parallelDownloads: 0 } }),
    failsWith('invalid_argument', 'parallelDownloads'),
  )
  await assert.rejects(
    Runtime.open({ home: home.path, images: { maxBytes: -1 } }),
    failsWith('invalid_argument', 'maxBytes'),
  )
})

test('a box from an image that is prepared loads nothing of registries and layers', async () => {
  await home.runtime.images.pull(image.name)
  const source = join(import.meta.dirname, '..', '..', 'src', 'index.ts')
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context) } })
    const { Runtime } = await import(${JSON.stringify(source)})
    const runtime = await Runtime.open({ home: ${JSON.stringify(home.path)} })
    const options = { ...${JSON.stringify(smallBox)}, image: ${JSON.stringify(image.name)}, ephemeral: true }
    const box = await runtime.create(options)
    await box.run('id')
    await runtime.shutdown()
    console.log(loaded.join('\\n'))`
  const { stdout } = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '--eval', script], {
    encoding: 'utf8',
  })
  assert.match(stdout, /image\/images\.ts/)
  assert.doesNotMatch(stdout, /image\/(registry|layer|sources|save)\/|erofs/)
})
