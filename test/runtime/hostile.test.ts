import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Box } from '../../src/index.ts'
import { openTestHome, smallBox, type TestHome } from '../home.ts'

let home: TestHome
let box: Box
before(async () => {
  home = await openTestHome()
  box = await home.runtime.create(smallBox, 'hostile')
})
after(() => home[Symbol.asyncDispose]())

test('root in the box has Docker’s 14 capabilities and no others', async () => {
  const { text } = await box.shell('grep ^Cap /proc/self/status')
  for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
    assert.match(text, new RegExp(`${set}:\\s+00000000a80425fb`))
  assert.match(text, /CapAmb:\s+0000000000000000/)
})

test('an ordinary user in the box has no effective capability', async () => {
  assert.match(
    (await box.shell('grep ^CapEff /proc/self/status', { user: 'nobody' })).text,
    /CapEff:\s+0000000000000000/,
  )
})

test('the agent and its port cannot be seen, opened or signalled', async () => {
  const { text: processes } = await box.shell(
    'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done',
  )
  assert.doesNotMatch(processes, /coffer-agent/)
  const { text: devices } = await box.shell('ls /dev')
  assert.doesNotMatch(devices, /vport|vda|ttyS|mem|kmsg|hvc/)
  assert.equal(
    (await box.shell('ls /sys/class/virtio-ports/ >/dev/null 2>&1; echo > /sys/power/state')).ok,
    false,
  )
  for (const [node, numbers] of Object.entries({
    vport: 'c 248 1',
    vport2: 'c 247 1',
    disk: 'b 254 0',
    disk2: 'b 253 0',
    console: 'c 4 64',
    mem: 'c 1 1',
    kmsg: 'c 1 11',
  })) {
    const attempt = await box.shell(
      `mknod /tmp/${node} ${numbers} && { head -c 1 /tmp/${node} || echo x > /tmp/${node}; }`,
    )
    assert.equal(attempt.ok, false, node)
    assert.match(attempt.stderr.toString(), /not permitted|No such device/, node)
  }
})

test('the ports’ real device number is refused too', async () => {
  const { text } = await box.shell('cat /proc/devices')
  const numbers = [...text.matchAll(/^\s*(\d+) (virtio-portsdev|virtblk)$/gm)]
  assert.ok(numbers.length >= 2, text)
  for (const [, major, name] of numbers)
    for (const minor of [0, 1, 2, 16]) {
      const kind = name === 'virtblk' ? 'b' : 'c'
      const attempt = await box.shell(
        `rm -f /tmp/node; mknod /tmp/node ${kind} ${major} ${minor} && head -c 1 /tmp/node`,
      )
      assert.equal(attempt.ok, false)
      assert.match(attempt.stderr.toString(), /not permitted/, `${name} ${minor}`)
    }
})

test('the guest’s kernel cannot be reconfigured from the box', async () => {
  const attempts = [
    'echo 1 > /proc/sys/kernel/panic',
    'echo c > /proc/sysrq-trigger',
    'mount -t tmpfs none /mnt',
    'mount -o remount,rw /sys',
    'umount /proc',
    'cat /proc/kcore | grep -q .',
    'dmesg -n 1',
    'hostname other',
    'date -s 2001-01-01 >/dev/null 2>&1; test $(date +%Y) -lt 2020',
    'reboot -f',
    'echo 0 > /sys/fs/cgroup/pids.max',
    'mkdir /sys/fs/cgroup/own',
    'insmod /bin/busybox',
    'chroot /proc/1/root true && ls /proc/1/root/modules',
    'swapoff -a && swapon /dev/null',
  ]
  for (const attempt of attempts) assert.equal((await box.shell(attempt)).ok, false, attempt)
  assert.equal((await box.run('echo', ['alive'])).text, 'alive\n')
})

test('kill -9 -1 as root ends commands and nothing else', async () => {
  const bystander = await box.exec('sleep', ['300'])
  await box.shell('kill -9 -1')
  assert.equal((await bystander.wait()).signal, 'SIGKILL')
  assert.equal((await box.run('echo', ['alive'])).text, 'alive\n')
})

test('a fork bomb stays below its limit and the box answers after it is killed', async () => {
  const bomb = await box.exec('sh', ['-c', 'bomb() { bomb | bomb & }; bomb; sleep 300'], { timeoutMs: 4_000 })
  bomb.stdout.resume()
  bomb.stderr.resume()
  assert.equal((await bomb.wait()).timedOut, true)
  assert.equal((await box.run('echo', ['alive'], { timeoutMs: 30_000 })).text, 'alive\n')
})

test('a command that eats all memory is killed, and the agent lives', async () => {
  const hog = await box.run('tail', ['/dev/zero'], { timeoutMs: 60_000 })
  assert.equal(hog.exitCode, -9)
  assert.equal(hog.outOfMemory, true)
  assert.equal((await box.run('echo', ['alive'])).text, 'alive\n')
})

test('a flood of output costs the host its windows and no more', async () => {
  const before = process.memoryUsage().rss
  const flood = await box.exec('sh', ['-c', 'cat /dev/zero & cat /dev/zero >&2'])
  await new Promise(resolve => setTimeout(resolve, 1_000))
  assert.ok(process.memoryUsage().rss - before < 50_000_000)
  await flood.killTree()
  await flood.wait()
})

test('the console log is bounded and the box cannot write to it', async () => {
  const { directory } = await box.info()
  await box.shell('echo spam > /dev/console; echo spam > /dev/kmsg; true')
  assert.ok(statSync(join(directory, 'console.log')).size < 1024 * 1024)
})

test('two boxes of one template differ in name, ids and random numbers', async () => {
  const other = await home.runtime.create(smallBox, 'other')
  const script =
    'hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id; head -c 1000000 /dev/urandom | sha256sum'
  const [one, two] = await Promise.all([box.shell(script), other.shell(script)])
  const [first, second] = [one.text.split('\n'), two.text.split('\n')]
  for (const index of [0, 1, 2, 3]) assert.notEqual(first[index], second[index])
  await home.runtime.remove('other', { force: true })
})

test('the clock is the host’s after a restore', async () => {
  const { text } = await box.shell('date +%s')
  assert.ok(Math.abs(Number(text) - Date.now() / 1000) < 2, text)
})
