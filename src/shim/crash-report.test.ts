import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDirectory } from '../../test/scratch.ts'
import { crashError, readCrashReport } from './crash-report.ts'
import { type ExitRecord, writeExitRecord } from './exit-file.ts'
import { shimFiles } from './launch.ts'

const record: ExitRecord = {
  cause: 'vm_died',
  message: 'QEMU ended with exit code 1',
  exitCode: 1,
  signal: undefined,
  stderr: '',
  atMs: 1,
}

type Case = {
  readonly what: string
  readonly record?: Partial<ExitRecord>
  readonly console?: string
  readonly summary: RegExp
  readonly hint: RegExp
}

const cases: readonly Case[] = [
  { what: 'no record at all', summary: /shim was killed/, hint: /dmesg/ },
  { what: 'an exit code', record: {}, summary: /exit code 1/, hint: /console/ },
  {
    what: 'a signal by name',
    record: { signal: 'SIGSEGV', exitCode: undefined },
    summary: /crashed \(SIGSEGV\)/,
    hint: /report/,
  },
  {
    what: 'a signal by number',
    record: { signal: 11, exitCode: undefined },
    summary: /crashed \(SIGSEGV\)/,
    hint: /report/,
  },
  {
    what: 'a forbidden system call',
    record: { signal: 31, exitCode: undefined },
    summary: /seccomp.*SIGSYS/,
    hint: /report/,
  },
  {
    what: 'SIGKILL',
    record: { signal: 9, exitCode: undefined },
    summary: /killed \(SIGKILL\)/,
    hint: /out-of-memory/,
  },
  {
    what: 'memory that cannot be read',
    record: { signal: 7, exitCode: undefined },
    summary: /SIGBUS/,
    hint: /disk/,
  },
  {
    what: 'a signal without a story',
    record: { signal: 1, exitCode: undefined },
    summary: /ended by SIGHUP/,
    hint: /again/,
  },
  {
    what: 'a kernel panic',
    record: {},
    console: '[ 1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009\n[ 1.1] CPU: 0',
    summary: /panicked: Attempted to kill init/,
    hint: /console/,
  },
  {
    what: 'a panic for want of memory',
    record: {},
    console: 'Kernel panic - not syncing: System is deadlocked on memory',
    summary: /panicked: System is deadlocked on memory/,
    hint: /more memory/,
  },
  {
    what: 'silence until the deadline',
    record: { cause: 'not_ready', message: 'the guest was not ready within 30 s', exitCode: 0 },
    summary: /not ready within 30 s/,
    hint: /printed nothing/,
  },
]

for (const { what, summary, hint, ...files } of cases) {
  test(`a report of ${what} says what happened and what to do`, () => {
    using scratch = scratchDirectory('crash')
    if (files.record !== undefined)
      writeExitRecord(join(scratch.path, shimFiles.exit), { ...record, ...files.record })
    if (files.console !== undefined) writeFileSync(join(scratch.path, shimFiles.console), files.console)
    const report = readCrashReport(scratch.path)
    assert.match(report.summary, summary)
    assert.match(report.hint, hint)
  })
}

test('the error names the step, both paths and the first lines of stderr, and no more', () => {
  using scratch = scratchDirectory('crash')
  writeExitRecord(join(scratch.path, shimFiles.exit), {
    ...record,
    stderr: 'one\ntwo\nthree\nfour\nfive\nsix\n',
  })
  const error = crashError('cannot start box web', readCrashReport(scratch.path))
  assert.equal(error.code, 'engine_unavailable')
  assert.match(error.message, /^cannot start box web: /)
  for (const part of ['one', 'five', join(scratch.path, 'console.log'), join(scratch.path, 'shim.log')])
    assert.ok(error.message.includes(part), part)
  assert.doesNotMatch(error.message, /six/)
})

test('half a record is no record', () => {
  using scratch = scratchDirectory('crash')
  writeFileSync(join(scratch.path, shimFiles.exit), '{"cause":"vm_d')
  assert.match(readCrashReport(scratch.path).summary, /shim was killed/)
})
