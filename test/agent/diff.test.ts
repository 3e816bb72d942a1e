import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { windowBytes } from '../../src/guest/protocol.ts'
import { ExecutionRefused } from '../../src/guest/remote-execution.ts'
import { eventually, Guest } from './guest.ts'

let guest: Guest
let scratch: string
before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'coffer-layer-'))
  guest = await Guest.restore()
})
after(async () => {
  await guest[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true, force: true })
})

/** The layer as a file, after the agent said that it is whole. */
async function exportLayer(name: string): Promise<string> {
  const { exited, stdout, stderr } = await guest.collect({ builtin: 'diff', argv: ['diff'] })
  assert.equal(stderr, '')
  assert.equal(exited.code, 0)
  const path = join(scratch, `${name}.tar`)
  writeFileSync(path, stdout)
  return path
}

function tar(...args: string[]): string {
  return execFileSync('tar', args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
}

/** Runs a program of ours in the box. */
async function runFixture(cwd: string): Promise<void> {
  const binary = join(scratch, 'oddities')
  const source = join(import.meta.dirname, 'oddities.fixture.c')
  execFileSync('gcc', ['-static', '-O1', '-s', '-Wall', '-Werror', source, '-o', binary])
  const copy = guest.execute({ argv: ['sh', '-c', 'cat > /dev/shm/oddities'], stdin: true })
  copy.stdin?.end(readFileSync(binary))
  assert.equal((await copy.exited).code, 0)
  // /dev/shm is mounted noexec; the copy on the disk is removed again and so is no change of the box.
  await guest.shell(
    `cp /dev/shm/oddities /oddities && chmod +x /oddities && cd ${cwd} && /oddities; status=$?; rm /oddities; exit $status`,
  )
}

/** An export that nobody reads then stands still. */
async function writeMoreThanWindow(): Promise<void> {
  await guest.shell(`head -c ${2 * windowBytes} /dev/urandom > /more`)
}

test('a box in which nothing was done has an empty layer', async () => {
  assert.deepEqual(
    tar('-tf', await exportLayer('empty'))
      .trim()
      .split('\n'),
    ['./'],
  )
})

test('changes of every kind are in the layer, as tar sees them', {
  skip: process.getuid?.() !== 0 && 'only root can unpack owners and devices',
}, async () => {
  await guest.shell(String.raw`
    set -e
    umask 022
    mkdir -p /work/deep && cd /work
    echo content > file && chmod 4751 file && chown 1000:3000000 file && chmod 4751 file
    ln file deep/linked
    ln -s ../elsewhere symlink
    mkfifo fifo && chmod 600 fifo
    mknod block b 7 42 && mknod character c 300 70000
    chmod 1777 deep
    touch "$(printf 'odd \377\tname')"
    name=$(printf '%0200d' 7) && mkdir $name && echo long > $name/$name
    truncate -s 15000000 sparse && echo end >> sparse
    head -c 3000000 /dev/urandom > random
    # What the image has: changed, removed, replaced by something else, opaque, moved.
    echo changed >> /etc/passwd
    chmod 700 /root
    rm /bin/true
    rm /bin/false && mkdir /bin/false
    rm -r /var/log 2>/dev/null || true
    mkdir -p /var/log && echo new > /var/log/new
    mv /home /moved
  `)
  await runFixture('/work')
  const layer = await exportLayer('changes')
  const names = new Set(tar('-tf', layer, '--quoting-style=literal').trim().split('\n'))
  for (const name of [
    'work/deep/linked',
    'etc/passwd',
    'root/',
    'bin/.wh.true',
    'bin/false/',
    'var/log/new',
    'var/log/.wh..wh..opq',
    '.wh.home',
    'moved/',
  ])
    assert.ok(names.has(name), `${name} in ${[...names].join(' ')}`)
  for (const name of ['work/socket', 'oddities', 'etc/hosts', 'etc/hostname', 'proc/', 'dev/', 'home/'])
    assert.ok(!names.has(name), name)

  const back = join(scratch, 'back')
  mkdirSync(back)
  tar('-xf', layer, '-C', back, '-p', '--same-owner', '--numeric-owner', '--xattrs', '--xattrs-include=*')
  const at = (path: string): string => join(back, 'work', path)
  const file = statSync(at('file'), { bigint: true })
  assert.equal(readFileSync(at('file'), 'utf8'), 'content\n')
  assert.equal(file.mode & 0o7777n, 0o4751n)
  assert.deepEqual([file.uid, file.gid], [1000n, 3_000_000n])
  assert.equal(file.mtimeNs, 1_500_000_000_123_456_789n)
  assert.equal(statSync(at('deep/linked'), { bigint: true }).ino, file.ino)
  const attributes = execFileSync(
    'getfattr',
    ['--absolute-names', '-d', '-m', '-', '-e', 'hex', at('file')],
    {
      encoding: 'utf8',
    },
  )
  assert.match(attributes, /user\.comment=0x610062/)
  assert.match(attributes, /security\.capability=0x0100000200200000000000000000000000000000/)
  assert.ok(!attributes.includes('overlay'), attributes)
  assert.ok(lstatSync(at('symlink')).isSymbolicLink())
  assert.ok(lstatSync(at('fifo')).isFIFO())
  assert.equal(
    execFileSync('stat', ['-c', '%F %t:%T', at('block')], { encoding: 'utf8' }),
    'block special file 7:2a\n',
  )
  assert.equal(
    execFileSync('stat', ['-c', '%F %t:%T', at('character')], { encoding: 'utf8' }),
    'character special file 12c:11170\n',
  )
  assert.equal(statSync(at('deep')).mode & 0o7777, 0o1777)
  assert.ok(
    lstatSync(
      Buffer.concat([Buffer.from(`${at('odd ')}`), Buffer.from([0xff]), Buffer.from('\tname')]),
    ).isFile(),
  )
  const long = '7'.padStart(200, '0')
  assert.equal(readFileSync(at(`${long}/${long}`), 'utf8'), 'long\n')
  const digest = (await guest.shell('cd /work && sha256sum random sparse')).trim()
  assert.equal(
    execFileSync('sha256sum', ['random', 'sparse'], { cwd: at('.'), encoding: 'utf8' }).trim(),
    digest,
  )
  // Later exports need not carry it.
  await guest.shell('rm /work/sparse')
})

test('a name no layer can carry is left out, said, and makes the export fail', async () => {
  await guest.shell('mkdir /odd && touch /odd/.wh.file /odd/other')
  const { exited, stdout, stderr } = await guest.collect({ builtin: 'diff' })
  assert.equal(exited.code, 1)
  assert.match(stderr, /^diff: \/odd\/\.wh\.file: /)
  const path = join(scratch, 'failed.tar')
  writeFileSync(path, stdout)
  const names = tar('-tf', path).split('\n')
  assert.ok(names.includes('odd/other') && !names.includes('odd/.wh.file'))
  await guest.shell('rm -r /odd')
})

test('a box that swaps directories and links under the export leads it nowhere', async () => {
  const racer = guest.execute({
    argv: [
      'sh',
      '-c',
      `mkdir -p /race/a && touch /race/a/inside
       while :; do mv /race/a /race/b; ln -s / /race/a; rm /race/a; mv /race/b /race/a; echo; done`,
    ],
  })
  racer.stdout.resume()
  for (let round = 0; round < 15; round++) {
    const { exited, stdout, stderr } = await guest.collect({ builtin: 'diff' })
    assert.equal(exited.code, 0, stderr)
    const path = join(scratch, 'race.tar')
    writeFileSync(path, stdout)
    const names = tar('-tf', path).split('\n')
    const inRace = names.filter(name => name.startsWith('race/'))
    for (const name of inRace) assert.match(name, /^race\/(|(\.wh\.)?[ab](\/(inside|\.wh\.\.wh\.\.opq)?)?)$/)
  }
  racer.signal(9, 1)
  await racer.exited
})

test('the export is not seen by the box, and ends by a signal or its time', async () => {
  await writeMoreThanWindow()
  const running = guest.execute({ builtin: 'diff' })
  await running.started
  // Nobody reads, so it waits for its window.
  // A child of the agent has the agent's name, which is that of the machine's first program.
  const names = (await guest.shell('cat /proc/[0-9]*/comm')).split('\n')
  assert.ok(names.includes('coffer-init') && !names.includes('init'), names.join(' '))
  await guest.shell('kill -9 -1; true')
  running.signal(15, 0)
  assert.equal((await running.exited).code, -15)
  const late = guest.execute({ builtin: 'diff', timeoutMs: 100 })
  const exited = await late.exited
  // Its place is taken until its output is, too.
  running.discard()
  late.discard()
  assert.deepEqual([exited.code, exited.timedOut], [-9, true])
})

test('exports at once are bounded, and their places fall free', async () => {
  await writeMoreThanWindow()
  const running = Array.from({ length: 4 }, () => guest.execute({ builtin: 'diff' }))
  for (const one of running) await one.started
  const refused = guest.execute({ builtin: 'diff' })
  await assert.rejects(
    refused.started,
    error => error instanceof ExecutionRefused && error.failure.kind === 'resource_limit',
  )
  for (const one of running) {
    one.signal(9, 0)
    await one.exited
    one.discard()
  }
  await eventually(
    'one more may run',
    async () => (await guest.collect({ builtin: 'diff' })).exited.code === 0,
  )
})

test('what the agent does not have, or cannot do on a terminal, is refused', async () => {
  const requests = [{ builtin: 'other' as 'diff' }, { builtin: 'diff' as const, tty: { rows: 24, cols: 80 } }]
  for (const request of requests)
    await assert.rejects(
      guest.execute(request).started,
      error => error instanceof ExecutionRefused && error.failure.kind === 'bad_argument',
    )
})

test('a box shuts down cleanly under a running export', async () => {
  const running = guest.execute({ builtin: 'diff' })
  await running.started
  assert.deepEqual({ ...(await guest.request('shutdown', { graceMs: 5_000 })) }, { clean: true })
})
