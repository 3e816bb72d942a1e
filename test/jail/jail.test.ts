import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { eventually, openTestHome, processesOf, smallBox, type TestHome } from '../home.ts'

// What the kernel says of the VMM itself, not what we asked for.

let home: TestHome
let qemu: string
before(async () => {
  home = await openTestHome()
  const box = await home.runtime.create(smallBox, 'caged')
  await box.start()
  const lines = (): string[] =>
    processesOf(`coffer-${box.id}`).filter(line => /^\d+ \S*qemu-system/.test(line))
  await eventually('QEMU runs', () => lines().length === 1)
  qemu = lines()[0]?.split(' ')[0] ?? ''
})
after(() => home[Symbol.asyncDispose]())

test('no capability in any set, no new privileges, a seccomp filter', () => {
  const status = readFileSync(`/proc/${qemu}/status`, 'utf8')
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    assert.match(status, new RegExp(`^${set}:\\s+0+$`, 'm'), set)
  assert.match(status, /^NoNewPrivs:\s+1$/m)
  assert.match(status, /^Seccomp:\s+2$/m)
})

test('namespaces of its own, all of them', () => {
  for (const name of ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts'])
    assert.notEqual(readlinkSync(`/proc/${qemu}/ns/${name}`), readlinkSync(`/proc/self/ns/${name}`), name)
})

test('no network interface but loopback, and no route', () => {
  const interfaces = readFileSync(`/proc/${qemu}/net/dev`, 'utf8').split('\n').slice(2).filter(Boolean)
  assert.deepEqual(
    interfaces.map(line => line.split(':')[0]?.trim()),
    ['lo'],
  )
  assert.equal(readFileSync(`/proc/${qemu}/net/route`, 'utf8').trim().split('\n').length, 1)
})

test('it sees the system read-only, and can write one file of ours', () => {
  const mounts = readFileSync(`/proc/${qemu}/mounts`, 'utf8')
    .trim()
    .split('\n')
    .map(line => line.split(' '))
  const writable = mounts
    .filter(([, , type, options]) => type !== 'devpts' && options?.split(',').includes('rw'))
    .map(([, target]) => target)
  assert.deepEqual(
    writable.filter(target => !/^\/(dev|tmp|proc)?(\/|$)/.test(target ?? '')),
    ['/disk'],
    mounts.join('\n'),
  )
  const root = readdirSync(`/proc/${qemu}/root`).sort()
  assert.deepEqual(root, [
    'bin',
    'dev',
    'disk',
    'disk-base',
    'etc',
    'image',
    'lib',
    'lib64',
    'template',
    'tmp',
    'usr',
  ])
  assert.deepEqual(readdirSync(`/proc/${qemu}/root/etc`), ['ld.so.cache'])
})

test('its environment is empty and it holds no descriptor of ours', () => {
  assert.match(readFileSync(`/proc/${qemu}/environ`, 'utf8'), /^(PWD=\/\0)?$/)
  const open = readdirSync(`/proc/${qemu}/fd`).map(name => readlinkSync(`/proc/${qemu}/fd/${name}`))
  assert.deepEqual(
    open.filter(
      path =>
        path.startsWith('/') && !/^\/(dev\/null|disk|disk-base|image|template\/memory|memfd:)/.test(path),
    ),
    [],
    open.join('\n'),
  )
})
