import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatReports } from './doctor.ts'

const stream = Object.assign(Object.create(process.stdout), { isTTY: false })

test('each component has a line, and one that is wrong says why and what mends it', () => {
  const text = formatReports(
    [
      { name: 'QEMU', ok: true, version: '10.0.2', path: '/bin/qemu' },
      { name: 'bubblewrap', ok: false, problem: 'not found', remedy: 'apt-get install bubblewrap' },
    ],
    stream,
  )
  assert.equal(
    text,
    [
      'ok     QEMU        10.0.2  /bin/qemu',
      'wrong  bubblewrap',
      '       not found',
      '       remedy: apt-get install bubblewrap',
      '',
    ].join('\n'),
  )
})
