import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { file, type PushedImage, pushImage, runnableLayer } from '../images/oci-image.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { scratchDirectory } from '../scratch.ts'
import { cofferForThisFile } from './coffer.ts'
import { fails, logIn, short, succeeds } from './image-commands.ts'

// One registry that wants a login, and two homes. The tests build on each other.

const coffer = cofferForThisFile({ sharedTemplates: true })
const other = cofferForThisFile({ sharedTemplates: true })
const small = ['--memory', '192m', '--disk', '256m']
const deadline = { timeout: 120_000 }
const scratch = scratchDirectory('cli-images')

let registry: TestRegistry
let app: PushedImage

before(async () => {
  registry = await startRegistry({ auth: 'basic' })
  app = await pushImage(registry, 'team/app:1', {
    layers: [runnableLayer(), [file('motd', 'of the image\n')]],
    config: {
      Entrypoint: ['/bin/echo', 'entry'],
      Cmd: ['cmd'],
      Env: ['PATH=/bin', 'GREETING=hello', 'BOTH=image'],
      WorkingDir: '/work',
      User: 'app',
    },
  })
  await logIn(coffer, registry)
})
after(async () => {
  await registry[Symbol.asyncDispose]()
  scratch[Symbol.dispose]()
})

test('pull prints a name that means this very image, and on standard error a line for each layer', async () => {
  const { code, stdout, stderr } = await coffer.run(['pull', app.name])
  assert.deepEqual([code, stdout], [0, `${app.name}@${app.digest}\n`])
  const lines = stderr.split('\n').filter(Boolean)
  assert.ok(lines.includes(`coffer: pulling image ${app.name} …`), stderr)
  const done = lines.filter(line => line.includes(' done, '))
  assert.deepEqual(
    done.map(line => line.split(' ')[1]),
    app.layers.map(({ digest }) => short(digest)),
  )
  assert.ok(!stderr.includes('\u001b'))
  assert.deepEqual(
    await coffer.run(['pull', '-q', app.name]).then(({ stdout, stderr }) => [stdout, stderr]),
    [`${app.digest}\n`, ''],
  )
  assert.equal(await succeeds(coffer, 'pull', '-q', '--policy', 'missing', stdout.trim()), `${app.digest}\n`)
})

test('of several images one that fails does not keep the others from coming', async () => {
  const { code, stdout, stderr } = await coffer.run(['pull', `${registry.host}/no/such:1`, app.name])
  assert.deepEqual([code, stdout], [125, `${app.name}@${app.digest}\n`])
  assert.match(stderr, /no\/such:1[\s\S]*hint: /)
})

test('images lists it by name; inspect and history tell what it is made of', async () => {
  assert.match(
    await succeeds(coffer, 'images'),
    new RegExp(`\\n${app.name} +${short(app.digest)} +\\d+ \\w+ ago +`),
  )
  assert.equal(await succeeds(coffer, 'images', '-q'), `${short(app.digest)}\n`)
  assert.ok((await succeeds(coffer, 'images', '--digests')).includes(app.digest))
  const [details] = JSON.parse(await succeeds(coffer, 'inspect', app.name))
  assert.deepEqual(details.config.entrypoint, ['/bin/echo', 'entry'])
  assert.deepEqual(
    details.layers.map(({ digest }: { digest: string }) => digest),
    app.layers.map(({ digest }) => digest),
  )
  const steps = (await succeeds(coffer, 'history', short(app.digest))).split('\n').filter(Boolean)
  assert.deepEqual(
    steps.slice(1).map(line => /(settings|layer \d)/.exec(line)?.[1]),
    ['settings', 'layer 1', 'layer 0'],
  )
})

test(
  'run does what Docker does with entrypoint, command, environment, user and directory',
  deadline,
  async () => {
    const run = (...words: readonly string[]): Promise<string> => succeeds(coffer, 'run', ...small, ...words)
    assert.equal(await run(app.name), 'entry cmd\n')
    assert.equal(await run(app.name, '--', 'a', '-b'), 'entry a -b\n')
    const script = 'echo $GREETING $BOTH; id -u; pwd'
    assert.equal(await run('--entrypoint', 'sh', app.name, '-c', script), 'hello image\n1234\n/work\n')
    assert.equal(
      await run('-e', 'BOTH=flag', '-u', '0', '-w', '/etc', '--entrypoint', '', app.name, 'sh', '-c', script),
      'hello flag\n0\n/etc\n',
    )
  },
)

test(
  'run -d without a command runs the image’s own, and an image that has none says so',
  deadline,
  async () => {
    const id = (await succeeds(coffer, 'run', '-d', ...small, app.name)).trim()
    await succeeds(coffer, 'wait', id)
    assert.equal(await succeeds(coffer, 'logs', id), 'entry cmd\n')
    await succeeds(coffer, 'rm', id)
    const bare = await pushImage(registry, 'team/bare:1', { layers: [runnableLayer()] })
    for (const words of [[], ['-d']]) {
      const { code, stderr } = await coffer.run(['run', ...words, ...small, bare.name])
      assert.equal(code, 125)
      assert.match(stderr, /has no command of its own[\s\S]*hint: /)
    }
    await succeeds(coffer, 'rmi', bare.name)
    assert.equal(await succeeds(coffer, 'ps', '-aq'), '')
  },
)

test('a box may be told when to ask the registry', async () => {
  const stderr = await fails(coffer, 'run', '--pull', 'never', `${registry.host}/team/other:1`, 'true')
  assert.match(stderr, /not .*pulled|may not be pulled/)
  assert.match(await fails(coffer, 'run', '--platform', 'linux/arm64', app.name), /linux\/amd64/)
})

test('tag gives another name, and rmi takes names away, the image with the last', async () => {
  await succeeds(coffer, 'tag', app.name, 'mine:1')
  assert.match(await succeeds(coffer, 'images'), /\nmine:1 +/)
  assert.equal(await succeeds(coffer, 'rmi', 'mine:1'), 'untagged mine:1\n')
  assert.doesNotMatch(await succeeds(coffer, 'images'), /mine:1/)
})

test(
  'a saved image is the same in another home, in both formats, through files and pipes',
  deadline,
  async () => {
    const path = join(scratch.path, 'app.tar')
    await succeeds(coffer, 'save', '-o', path, app.name)
    assert.equal(await succeeds(other, 'load', '-i', path), `${app.name}\n`)
    assert.equal(await succeeds(other, 'images', '-q'), `${short(app.digest)}\n`)
    assert.equal(await succeeds(other, 'run', ...small, app.name, 'from', 'there'), 'entry from there\n')
    await succeeds(other, 'rmi', app.name)
    const piped = await coffer.run(['save', '--format', 'docker-archive', app.name])
    assert.equal(piped.code, 0, piped.stderr)
    const loaded = await other.run(['load'], piped.bytes)
    assert.deepEqual([loaded.code, loaded.stdout], [0, `${app.name}\n`], loaded.stderr)
    await succeeds(other, 'rmi', app.name)
  },
)

test('a directory becomes an image, with the command it is given', deadline, async () => {
  const root = join(scratch.path, 'rootfs')
  mkdirSync(join(root, 'bin'), { recursive: true })
  await copyFile(join(import.meta.dirname, '../../build/busybox'), join(root, 'bin/busybox'))
  const words = ['--cmd', '["/bin/busybox","env"]', '-e', 'MADE=here', '-l', 'a=b', '-w', '/bin']
  const digest = (await succeeds(other, 'import-rootfs', ...words, root, 'own:1')).trim()
  assert.match(digest, /^sha256:[0-9a-f]{64}$/)
  assert.match(await succeeds(other, 'run', ...small, 'own:1'), /^MADE=here$/m)
  assert.deepEqual(JSON.parse(await succeeds(other, 'inspect', 'own:1'))[0].config.labels, { a: 'b' })
})

test('what is committed of a box is in the image that another home pulls', deadline, async () => {
  await succeeds(coffer, 'create', ...small, '--name', 'builder', '-u', '0', app.name)
  await succeeds(coffer, 'exec', 'builder', 'sh', '-c', 'echo changed > /motd')
  const pushed = `${registry.host}/team/app:2`
  const words = ['-m', 'a change', '-a', 'somebody', '--change', 'ENTRYPOINT ["/bin/cat"]']
  const digest = (
    await succeeds(coffer, 'commit', ...words, '--change', 'CMD ["/motd"]', 'builder', pushed)
  ).trim()
  assert.equal(await succeeds(coffer, 'run', ...small, pushed), 'changed\n')
  assert.match(await succeeds(coffer, 'history', pushed), /coffer commit builder +a change\n/)
  assert.equal(await succeeds(coffer, 'push', pushed), `${pushed}@${digest}\n`)
  assert.equal(await succeeds(coffer, 'push', '-q', pushed, `${registry.host}/team/copy:2`), `${digest}\n`)
  await logIn(other, registry)
  assert.equal(await succeeds(other, 'pull', '-q', `${registry.host}/team/copy:2`), `${digest}\n`)
  assert.equal(await succeeds(other, 'run', ...small, `${registry.host}/team/copy:2`), 'changed\n')
})

test('a name that could be either is the box; --type says which', async () => {
  await succeeds(coffer, 'tag', app.name, 'builder')
  const inspect = async (...words: readonly string[]): Promise<Record<string, unknown>> =>
    JSON.parse(await succeeds(coffer, 'inspect', ...words, 'builder'))[0]
  assert.equal((await inspect())['name'], 'builder')
  assert.equal((await inspect('--type', 'image'))['digest'], app.digest)
  await succeeds(coffer, 'rmi', 'builder')
  assert.match(await fails(coffer, 'inspect', '--type', 'image', 'builder'), /no image builder/)
  assert.match(await fails(coffer, 'inspect', 'neither'), /no box and no image neither/)
})

test('disk usage adds up, and what boxes use is not removed', deadline, async () => {
  const usage = JSON.parse(await succeeds(coffer, 'system', 'df', '--json'))
  const kinds = ['blobs', 'rootfs', 'partial', 'boxes', 'templates']
  assert.equal(
    kinds.reduce((sum, kind) => sum + usage[kind].bytes, 0),
    usage.totalBytes,
  )
  assert.ok(usage.blobs.bytes > 0 && usage.rootfs.bytes > 0)
  assert.match(await succeeds(coffer, 'system', 'df'), /^KIND +COUNT[\s\S]*\nall +/)
  const stderr = await fails(coffer, 'rmi', app.name)
  assert.match(stderr, /used by box builder[\s\S]*rmi -f/)
  const pruned = JSON.parse(await succeeds(coffer, 'prune', '--images', '-a', '--force', '--json'))
  assert.deepEqual(pruned.removed, [`${registry.host}/team/app:2`])
  assert.ok(pruned.freedBytes > 0)
  assert.match(await succeeds(coffer, 'images'), new RegExp(app.name))
  await succeeds(coffer, 'rm', '-f', 'builder')
  assert.match(await succeeds(coffer, 'prune', '--images', '--force'), /^freed 0 B\n$/)
  assert.match(
    await succeeds(coffer, 'prune', '--images', '-a', '--force'),
    /team\/app:1\nfreed [\d.]+ [kM]B\n$/,
  )
  const after = JSON.parse(await succeeds(coffer, 'system', 'df', '--json'))
  assert.deepEqual([after.blobs.bytes, after.partial.bytes], [0, 0])
})

test('errors name what is wrong and what to do', deadline, async () => {
  const garbage = join(scratch.path, 'garbage.tar')
  writeFileSync(garbage, 'no archive at all\n'.repeat(1000))
  const none = join(scratch.path, 'none')
  const cases: readonly (readonly [words: readonly string[], message: RegExp])[] = [
    [['pull', '127.0.0.1:1/team/app'], /127\.0\.0\.1:1 \(ECONNREFUSED\)/],
    [['pull', 'https://example/app'], /has a scheme/],
    [['rmi', 'not/here'], /no image not\/here/],
    [['history', 'not/here'], /no image not\/here/],
    [['save', 'not/here'], /no image not\/here/],
    [['push', 'not/here'], /no image not\/here/],
    [['load', '-i', garbage], /garbage\.tar/],
    [['rmi', 'busybox'], /built in/],
  ]
  await Promise.all(
    cases.map(async ([words, message]) => assert.match(await fails(coffer, ...words), message)),
  )
  for (const words of [
    ['load', '-i', none],
    ['import-rootfs', none, 'own:2'],
  ]) {
    const { code, stderr } = await coffer.run(words)
    assert.equal(code, 125)
    assert.ok(stderr.includes(none), stderr)
  }
})
