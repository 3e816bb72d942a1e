import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { probeGuestCode } from './probe-guest.ts'

test('the embedded probe guest is its source, assembled', () => {
  const directory = mkdtempSync(join(tmpdir(), 'coffer-probe-'))
  try {
    const [object, raw] = [join(directory, 'guest.o'), join(directory, 'guest.bin')]
    execFileSync('as', ['-o', object, join(import.meta.dirname, 'probe-guest.S')])
    execFileSync('objcopy', ['-O', 'binary', '-j', '.text', object, raw])
    assert.equal(probeGuestCode.toString('hex'), readFileSync(raw).toString('hex'))
  } finally {
    rmSync(directory, { recursive: true })
  }
})
