import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProcesses } from './top.ts'

test('each process has a line, whatever it calls itself', () => {
  const text = formatProcesses([
    { pid: 1, ppid: 0, uid: 0, state: 'S', rssKib: 512, cpuMs: 1234, command: 'sleep 100' },
    { pid: 42, ppid: 1, uid: 1000, state: 'R', rssKib: 2048, cpuMs: 5, command: 'a\n\u001b[2Jb' },
  ])
  assert.equal(
    text,
    [
      'PID  USER  STATE  MEMORY   CPU TIME  COMMAND',
      '1    0     S      0.5 MiB  1.23 s    sleep 100',
      '42   1000  R      2.0 MiB  0.01 s    a \u{fffd}[2Jb',
      '',
    ].join('\n'),
  )
})
