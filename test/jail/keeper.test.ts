import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { jailFilter } from '../../src/jail/filter.ts'
import { jailArguments, jailDescriptors } from '../../src/jail/jail.ts'
import { findProgram } from '../../src/vm/components.ts'

// A program in place of QEMU, and the keeper as it is. Perl is part of every Debian, and can make any system call.

test('the status of the command comes out of the lifeline, also that of a signal', async () => {
  assert.equal((await jailed('exit 7')).status, '7\n')
  assert.equal((await jailed('kill SEGV => $$')).status, '139\n')
})

test('no call reaches into the memory of the keeper or takes it over', async () => {
  const calls = {
    ptrace: '101, 16, 1, 0, 0',
    process_vm_readv: '310, 1, 0, 0, 0, 0, 0',
    pidfd_getfd: '438, 3, 6, 0',
  }
  for (const [name, parameters] of Object.entries(calls)) {
    const { output } = await jailed(`syscall(${parameters}); print $! + 0`)
    assert.equal(output, '1', `${name}: EPERM`)
  }
})

test('the keeper outlives every signal that can be sent from inside', async () => {
  const { output, status } = await jailed(
    'kill $_ => 1 for qw(KILL STOP TERM HUP SEGV); sleep 1; print "alive"; exit 3',
  )
  assert.equal(output, 'alive')
  assert.equal(status, '3\n')
})

test('the command holds neither the lifeline nor the filter, and leaves no core', async () => {
  const { output } = await jailed('open(my $f, "<&=", $_) && print "$_ " for 6, 7; print `ulimit -c;`')
  assert.equal(output, '0\n')
})

async function jailed(script: string): Promise<{ output: string; status: string }> {
  const command = jailArguments({ readOnly: [], readWrite: [], devices: [] }, [
    '/usr/bin/perl',
    '-e',
    `$| = 1; ${script}`,
  ])
  const child = spawn(findProgram('bwrap', 'bubblewrap'), command, {
    stdio: ['ignore', 'pipe', 'inherit', 'ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    env: {},
  })
  const socket = (descriptor: number): Socket => child.stdio[descriptor] as unknown as Socket
  socket(jailDescriptors.filter).end(jailFilter())
  const lifeline = socket(jailDescriptors.lifeline).setEncoding('utf8')
  const output = text(child.stdio[1] as Readable)
  const [status] = await once(lifeline, 'data')
  lifeline.destroy()
  return { output: await output, status }
}
