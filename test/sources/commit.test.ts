import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isCofferError } from '../../src/errors.ts'
import { saveImages } from '../../src/image/save/save-images.ts'
import { importDisk } from '../../src/image/sources/import-disk.ts'
import { loadImages } from '../../src/image/sources/load.ts'
import { ImageStore } from '../../src/image/store.ts'
import type { Box } from '../../src/index.ts'
import { openHome } from '../../src/state/home.ts'
import { Store } from '../../src/state/store.ts'
import { eventually, openTestHome, smallBox, type TestHome } from '../home.ts'
import { scratchDirectory } from '../scratch.ts'
import { run } from './images.ts'

let home: TestHome
let store: ImageStore
const scratch = scratchDirectory('commit')
before(async () => {
  home = await openTestHome({ ownImages: true })
  const opened = openHome(home.path)
  store = new ImageStore({
    home: opened,
    store: new Store(opened.database),
    settings: { parallelDownloads: 1 },
  })
})
after(async () => {
  await home[Symbol.asyncDispose]()
  scratch[Symbol.dispose]()
})

let unpacked = 0

/** Unpacks an image of the store with umoci; gives its root file system. */
async function unpack(name: string): Promise<string> {
  const at = `${scratch.path}/image-${unpacked++}`
  await saveImages(store, [name], `${at}.tar`)
  mkdirSync(at)
  await run('tar', '-xf', `${at}.tar`, '-C', at)
  const tag = JSON.parse(readFileSync(`${at}/index.json`, 'utf8')).manifests[0].annotations[
    'org.opencontainers.image.ref.name'
  ]
  const rootless = process.getuid?.() === 0 ? [] : ['--rootless']
  await run('umoci', 'unpack', ...rootless, '--image', `${at}:${tag}`, `${at}/bundle`)
  return `${at}/bundle/rootfs`
}

/** Has a program in the box give a file extended attributes, among others. */
async function setOddities(box: Box): Promise<void> {
  const binary = `${scratch.path}/oddities`
  await run(
    'gcc',
    '-static',
    '-O1',
    '-s',
    join(import.meta.dirname, '../agent/oddities.fixture.c'),
    '-o',
    binary,
  )
  await box.run(
    'sh',
    ['-c', 'mkdir /work/odd && cd /work/odd && cat > program && chmod +x program && touch file'],
    {
      stdin: readFileSync(binary),
    },
  )
  assert.equal((await box.shell('cd /work/odd && ./program && rm program')).exitCode, 0)
}

const look = `
  cat /etc/motd; stat -c '%a %u:%g' /work/tool; stat -c '%a' /root /tmp
  ls -a /etc/passwd- /bin/true 2>&1 | grep -c 'No such'; ls /var/log; readlink /work/link
  stat -c '%h' /work/hard; ls -la /work/dev | cut -d' ' -f1; cat /proc/sys/kernel/hostname > /dev/null && echo ok
`

test('a box started from a committed image has all changes, and so has what umoci unpacks', async t => {
  const { runtime } = home
  const box = await runtime.create({ ...smallBox })
  await box.shell(String.raw`
    set -e
    echo committed > /etc/motd
    mkdir /work && cd /work
    echo tool > tool && chown 1000:3000000 tool && chmod 4751 tool && ln tool hard && ln -s ../etc/motd link
    mknod dev c 1 3
    chmod 711 /root
    rm /bin/true
    rm -r /var/log && mkdir /var/log && echo new > /var/log/new
    head -c 3000000 /dev/urandom > random; sha256sum random > sum
    mkdir "$(printf 'odd \377')"
  `)
  await setOddities(box)
  const image = await box.commit('team/app:1', {
    message: 'by hand',
    author: 'somebody',
    changes: ['CMD ["cat", "/etc/motd"]', 'ENV COLOUR=red', 'WORKDIR /work', 'LABEL a=b'],
  })
  assert.deepEqual(image.names, ['team/app:1'])
  // The box goes on.
  assert.equal((await box.shell('cat /etc/motd')).text, 'committed\n')
  const expected = (await box.shell(look)).text
  await box.stop()

  const copy = await runtime.create({ ...smallBox, image: 'team/app:1' })
  assert.equal((await copy.shell(look)).text, expected)
  assert.match((await copy.shell('sha256sum -c sum; echo $COLOUR; pwd')).text, /^random: OK\nred\n\/work\n$/)
  await copy.stop()

  const inspected = await runtime.images.inspect('team/app:1')
  assert.equal(inspected.layers.length, 2)
  if (process.getuid?.() !== 0) return t.diagnostic('unpacking owners and devices needs root')
  const root = await unpack('team/app:1')
  assert.equal(readFileSync(`${root}/etc/motd`, 'utf8'), 'committed\n')
  assert.equal(statSync(`${root}/work/tool`).mode & 0o7777, 0o4751)
  assert.deepEqual([statSync(`${root}/work/tool`).uid, statSync(`${root}/work/tool`).gid], [1000, 3_000_000])
  assert.equal(statSync(`${root}/work/hard`).ino, statSync(`${root}/work/tool`).ino)
  assert.throws(() => statSync(`${root}/bin/true`))
  assert.ok(statSync(`${root}/bin/sh`).isFile())
  await run('sh', '-c', `cd ${root}/work && sha256sum -c sum`)
  const attributes = await run(
    'getfattr',
    '--absolute-names',
    '-d',
    '-m',
    '-',
    '-e',
    'hex',
    `${root}/work/odd/file`,
  )
  assert.match(attributes, /user\.comment=0x610062/)
  assert.match(attributes, /security\.capability=0x0100000200200000000000000000000000000000/)
})

test('a commit of a box from a committed image adds one layer, and a stopped box is stopped again', async () => {
  const { runtime } = home
  const box = await runtime.create({
    ...smallBox,
    image: 'team/app:1',
    command: ['sh', '-c', 'echo ran >> /runs'],
  })
  await box.start()
  await box.wait()
  const before = await box.info()
  const image = await box.commit('team/app:2', { compression: 'zstd' })
  const info = await box.info()
  assert.equal(info.status, 'stopped')
  assert.deepEqual(info, { ...before })
  assert.equal(info.exitCode, before.exitCode)
  const inspected = await runtime.images.inspect('team/app:2')
  assert.equal(inspected.layers.length, 3)
  assert.match(inspected.layers[2]?.mediaType ?? '', /zstd/)
  assert.equal(image.digest, inspected.digest)
  // Its main process ran once: not for the commit.
  const copy = await runtime.create({ ...smallBox, image: 'team/app:2' })
  assert.equal((await copy.shell('cat /runs /etc/motd')).text, 'ran\ncommitted\n')
  await copy.stop()
})

test('what writes meanwhile stands still, so the image is of one moment', async () => {
  const box = await home.runtime.create({ ...smallBox })
  // Counts in two files, which are read at different times: among others, in whatever order the directory has.
  await box.shell('for i in 1 2 3 4 5 6 7 8 9; do head -c 3000000 /dev/urandom > /large-$i; done')
  const counting = 'n=0; while :; do n=$((n+1)); echo $n > /t; mv /t /a; echo $n > /t; mv /t /b; done'
  const writer = await box.exec('sh', ['-c', counting])
  await box.shell('while ! test -s /b; do sleep 0.1; done')
  await box.commit('moment')
  await writer.kill()
  const copy = await home.runtime.create({ ...smallBox, image: 'moment' })
  const [a = 0, b = 0] = (await copy.shell('cat /a /b')).text.split('\n').map(Number)
  assert.ok(b > 0 && (a - b === 0 || a - b === 1), `${a} ${b}`)
  await copy.stop()
  await box.stop()
})

/** How many exports of the disk run in a box. */
async function exportsOf(box: Box): Promise<number> {
  const running = (await box.executions.list()).filter(
    ({ pid, result }) => pid !== undefined && result === undefined,
  )
  return running.filter(({ command }) => command[0] === 'diff').length
}

test('a commit that is refused or given up lets the box go on, and leaves nothing', async () => {
  const box = await home.runtime.create({ ...smallBox })
  await box.shell('mkdir /odd && touch /odd/.wh.file && head -c 30000000 /dev/urandom > /random')
  const before = store.content.list().length
  const refuses = async (
    name: string | undefined,
    options: Parameters<Box['commit']>[1],
    code: string,
  ): Promise<void> =>
    void (await assert.rejects(
      box.commit(name, options),
      error => isCofferError(error) && error.code === code,
    ))
  await refuses('x', {}, 'execution_failed')
  await refuses('Upper/Case', {}, 'invalid_argument')
  await refuses('busybox', {}, 'invalid_argument')
  await refuses('x', { changes: ['RUN rm -rf /'] }, 'invalid_argument')
  await box.shell('rm -r /odd')
  const controller = new AbortController()
  const onProgress = (): void => void setTimeout(() => controller.abort(), 100)
  await refuses('x', { signal: controller.signal, onProgress }, 'aborted')
  assert.equal((await box.shell('echo on')).text, 'on\n')
  await box.pause()
  await refuses('x', {}, 'invalid_state')
  await box.resume()
  // Paused in the middle of it, and given up then: it does not wait for the box to go on.
  await eventually('the last one has ended', async () => (await exportsOf(box)) === 0)
  const late = new AbortController()
  const committing = refuses('x', { signal: late.signal }, 'aborted')
  await eventually('the commit has begun', async () => (await exportsOf(box)) === 1)
  await box.pause()
  late.abort()
  await committing
  await box.resume()
  assert.equal(store.content.list().length, before)
  assert.equal(await store.find('x'), undefined)
  await box.commit(undefined, { pause: false })
  await box.stop()
})

test('boxes run on an ext4 disk and on an EROFS disk, which a commit cannot put a layer on', async () => {
  const root = await unpack('team/app:1')
  const disk = `${scratch.path}/disk`
  await run('mke2fs', '-q', '-F', '-t', 'ext4', '-d', root, `${disk}.ext4`, '64m')
  await run('qemu-img', 'convert', '-c', '-O', 'qcow2', `${disk}.ext4`, `${disk}.qcow2`)
  await run('mkfs.erofs', '-zlz4hc', `${disk}.erofs`, root)
  for (const kind of ['qcow2', 'erofs']) {
    await importDisk(`${disk}.${kind}`, `disk-${kind}`, store, { config: { env: { FROM: kind } } })
    const box = await home.runtime.create({ ...smallBox, image: `disk-${kind}` })
    assert.equal(
      (await box.shell('cat /etc/motd; echo $FROM; echo x > /etc/motd && cat /etc/motd')).text,
      `committed\n${kind}\nx\n`,
    )
    await assert.rejects(box.commit('y'), error => isCofferError(error, 'unsupported'))
    await box.stop()
  }
  // It is an image like any other: it can be saved and loaded.
  await saveImages(store, ['disk-qcow2'], `${disk}.tar`)
  const [again] = await loadImages(`${disk}.tar`, store)
  assert.equal(again?.digest, (await store.require('disk-qcow2')).digest)
})
