import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Box, isCofferError } from '../../src/index.ts'
import { findBuilt } from '../../src/vm/components.ts'
import { eventually, openTestHome, processesOf, smallBox, type TestHome } from '../home.ts'
import { scratchDirectory } from '../scratch.ts'

// The first start of a box is restored from a template in which its image and an empty disk are mounted; later starts are not.

let home: TestHome
before(async () => {
  home = await openTestHome({ ownImages: true })
})
after(() => home[Symbol.asyncDispose]())

const preparing = 'preparing a template of the image'

async function startedSteps(box: Box): Promise<string[]> {
  const steps: string[] = []
  await box.start({ onProgress: ({ step }) => steps.push(step) })
  return steps
}

/** The mounted templates of the home's images, as file names. */
function mountedTemplates(): string[] {
  const templates = join(home.path, 'templates')
  return readdirSync(templates)
    .map(name => join(templates, name))
    .filter(path => imageOf(path).startsWith(home.path))
}

function imageOf(template: string): string {
  const path = join(template, 'template.json')
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')).image ?? '') : ''
}

test('a template of an image is made at its first box, serves the next, and is rebuilt when it is torn', async () => {
  const box = async (): Promise<string[]> => {
    await using box = await home.runtime.create({ ...smallBox, ephemeral: true })
    const steps = await startedSteps(box)
    assert.equal((await box.run('echo', ['up'])).text, 'up\n')
    return steps
  }
  assert.ok((await box()).includes(preparing))
  assert.ok(!(await box()).includes(preparing))
  const [template = '', ...others] = mountedTemplates()
  assert.deepEqual(others, [])
  assert.equal(statSync(template).mode & 0o777, 0o700)
  for (const name of ['device', 'disk.qcow2']) {
    truncateSync(join(template, name), 1000)
    assert.ok((await box()).includes(preparing), name)
    assert.ok(!(await box()).includes(preparing))
  }
})

test('the first run is restored from it, and no other: not after a stop, nor when a policy starts the box again', async () => {
  const box = await home.runtime.create({ ...smallBox, detach: true, restart: 'always' })
  await box.start()
  const [mounted] = mountedTemplates().map(path => basename(path))
  assert.equal(templateOf(box), mounted)
  await die(box)
  await eventually('the policy has started it', async () => (await box.info()).restart.count === 1)
  await eventually('it runs', async () => (await box.info()).status === 'running')
  const boot = templateOf(box)
  assert.notEqual(boot, mounted)
  await box.stop()
  await box.start()
  assert.equal(templateOf(box), boot)
  await home.runtime.remove(box.id, { force: true })
})

test('what the first box of an image is started for needs no read from the image in the next', async () => {
  using scratch = scratchDirectory('ahead')
  await importBusybox(scratch.path, 'ahead:1', ['opt/ahead', 'opt/late'])
  {
    await using first = await home.runtime.create({ ...smallBox, image: 'ahead:1', ephemeral: true })
    await first.run('/opt/ahead', ['true'])
  }
  await using next = await home.runtime.create({ ...smallBox, image: 'ahead:1', ephemeral: true })
  const reads = 'read -r reads rest < /sys/block/vda/stat; echo $reads'
  const run = (file: string): string => `/opt/${file} true; ${reads}`
  const counts = await next.shell(`${reads}; ${run('ahead')}; ${run('late')}`)
  const [before, ahead, late] = counts.text.trim().split('\n').map(Number)
  assert.equal(ahead, before)
  assert.ok(Number(late) > Number(ahead), counts.text)
})

test('links of an image to what blocks whoever reads it hold up neither its template nor its boxes', async () => {
  using scratch = scratchDirectory('blocking')
  const etc = join(scratch.path, 'root', 'etc')
  mkdirSync(etc, { recursive: true })
  symlinkSync('/proc/kmsg', join(etc, 'passwd'))
  execFileSync('mkfifo', [join(etc, 'group')])
  await importBusybox(scratch.path, 'blocking:1')
  await using box = await home.runtime.create({ ...smallBox, image: 'blocking:1', ephemeral: true })
  const steps = await startedSteps(box)
  assert.ok(steps.includes(preparing))
  assert.ok(!steps.includes('starting without a template of the image'))
})

test('boxes of one template share nothing of it', async () => {
  await using one = await home.runtime.create({ ...smallBox, ephemeral: true })
  await using other = await home.runtime.create({ ...smallBox, ephemeral: true })
  const identity =
    'cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid'
  const lines = await Promise.all(
    [one, other].map(async box => (await box.shell(identity)).text.trim().split('\n')),
  )
  assert.equal(new Set(lines.flat()).size, 8)
  await one.shell('echo changed > /etc/motd; rm /bin/true; echo one > /here')
  const untouched = 'test ! -e /here && test -e /bin/true && ! grep -q changed /etc/motd'
  await using third = await home.runtime.create({ ...smallBox, ephemeral: true })
  for (const box of [other, third]) assert.ok((await box.shell(untouched)).ok)
})

test('a disk that was written to is mounted anew, after a stop and after a death', async () => {
  const box = await home.runtime.create(smallBox)
  assert.ok(!(await startedSteps(box)).includes(preparing))
  await box.shell(
    'mkdir /kept; for i in 1 2 3 4 5 6 7 8 9; do head -c 300000 /dev/urandom > /kept/$i; done; sync',
  )
  await box.shell('cd /kept && sha256sum * > /sums; sync')
  for (const end of ['stop', 'death', 'stop'] as const) {
    if (end === 'stop') await box.stop()
    else await die(box)
    checkDisk(join(home.path, 'boxes', box.id, 'disk.qcow2'))
    await box.start()
    const checked = await box.shell('cd /kept && sha256sum -c -s /sums && echo whole')
    assert.equal(checked.text, 'whole\n', end)
    await box.shell(`echo ${end} >> /ends; sync`)
  }
  assert.equal((await box.run('cat', ['/ends'])).text, 'stop\ndeath\nstop\n')
  await home.runtime.remove(box.id, { force: true })
})

test('a main process that is started again by its policy finds what it wrote before', async () => {
  const box = await home.runtime.create({
    ...smallBox,
    command: ['sh', '-c', 'echo run >> /runs; sync; test $(wc -l < /runs) -ge 3 || exit 3; sleep 1000'],
    restart: 'on-failure',
  })
  await box.start()
  await eventually('the policy has started it twice', async () => {
    const { restart, status } = await box.info()
    return restart.count === 2 && status === 'running'
  })
  const runs = async (): Promise<string> => (await box.run('cat', ['/runs'])).text
  await eventually('the third run has written', async () => (await runs()).split('\n').length > 3)
  assert.equal(await runs(), 'run\nrun\nrun\n')
  await home.runtime.remove(box.id, { force: true })
})

test('an image that cannot be mounted is told by the start, and no template of it is kept', async () => {
  using scratch = scratchDirectory('unmountable')
  const rootfs = join(home.path, 'images', 'rootfs')
  const others = new Set(existsSync(rootfs) ? readdirSync(rootfs) : [])
  await importBusybox(scratch.path, 'broken:1')
  {
    await using whole = await home.runtime.create({ ...smallBox, image: 'broken:1', ephemeral: true })
    await whole.start()
  }
  const [file = ''] = readdirSync(rootfs).filter(name => !others.has(name))
  const superblockAt = 1024
  const descriptor = openSync(join(rootfs, file), 'r+')
  writeSync(descriptor, Buffer.alloc(16, 0xff), 0, 16, superblockAt)
  closeSync(descriptor)
  const before = mountedTemplates()
  const box = await home.runtime.create({ ...smallBox, image: 'broken:1' })
  const steps: string[] = []
  await assert.rejects(
    box.start({ onProgress: ({ step }) => steps.push(step) }),
    error => isCofferError(error, 'engine_unavailable') && /mount/.test(error.message),
  )
  assert.ok(steps.includes('starting without a template of the image'))
  assert.deepEqual(mountedTemplates(), before)
  assert.deepEqual(
    readdirSync(join(home.path, 'tmp')).filter(name => name.includes('template')),
    [],
  )
  await home.runtime.remove(box.id)
})

test('a template of an image goes with the image', async () => {
  using scratch = scratchDirectory('removed')
  const { images } = home.runtime
  await importBusybox(scratch.path, 'gone:1')
  const before = mountedTemplates().length
  {
    await using box = await home.runtime.create({ ...smallBox, image: 'gone:1', ephemeral: true })
    assert.equal((await box.shell('echo up')).text, 'up\n')
  }
  assert.equal(mountedTemplates().length, before + 1)
  const { freedBytes } = await images.remove('gone:1')
  assert.equal(mountedTemplates().length, before)
  assert.ok(freedBytes > 20_000_000, `${freedBytes}`)
})

/** An image with a shell, copies of it, and what lies in `root` already. */
async function importBusybox(scratch: string, name: string, copies: readonly string[] = []): Promise<void> {
  const root = join(scratch, 'root')
  for (const path of ['bin/sh', ...copies].map(copy => join(root, copy))) {
    mkdirSync(dirname(path), { recursive: true })
    copyFileSync(findBuilt('busybox', 'busybox'), path)
    chmodSync(path, 0o755)
  }
  await home.runtime.images.importRootfs(root, name)
}

/** The name of the template that the box's jail shows to its VMM. */
function templateOf(box: Box): string | undefined {
  const [command = ''] = processesOf(box.id).filter(line => line.includes('--ro-bind'))
  return / (\S+) \/template /.exec(command)?.[1]?.split('/').at(-1)
}

/** Throws unless the qcow2 and, with its journal replayed, the file system in it are whole. */
function checkDisk(disk: string): void {
  using scratch = scratchDirectory('fsck')
  const raw = join(scratch.path, 'raw')
  execFileSync('qemu-img', ['check', '-q', disk])
  execFileSync('qemu-img', ['convert', '-O', 'raw', disk, raw])
  truncateSync(raw, (smallBox.diskMib ?? 0) * 1024 * 1024)
  const journal = ['-p', '-E', 'journal_only', raw]
  // 1: something was mended, which is what the replay of a journal is.
  assert.ok([0, 1].includes(spawnSync('e2fsck', journal).status ?? -1))
  execFileSync('e2fsck', ['-f', '-n', raw])
}

async function die(box: Box): Promise<void> {
  const ended = box.wait()
  const [line = ''] = processesOf(box.id).filter(found => /^\d+ \S*qemu-system/.test(found))
  process.kill(Number.parseInt(line, 10), 'SIGKILL')
  await ended
}
