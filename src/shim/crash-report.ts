import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import { type ExitRecord, readExitRecord } from './exit-file.ts'
import { shimFiles } from './launch.ts'

/** Why a box is not running, in words a user can act on. */
export type CrashReport = {
  /** One sentence. */
  readonly summary: string
  readonly hint: string
  readonly record: ExitRecord | undefined
  readonly consolePath: string
  readonly logPath: string
  /** First lines of what QEMU and the shim said on stderr. */
  readonly stderr: readonly string[]
}

const stderrLines = 5
const consoleTailBytes = 16 * 1024

/** Reads what a dead run left behind. */
export function readCrashReport(directory: string): CrashReport {
  const record = readExitRecord(join(directory, shimFiles.exit))
  const consolePath = join(directory, shimFiles.console)
  const logPath = join(directory, shimFiles.log)
  const stderr = `${record?.stderr ?? ''}\n${readLog(logPath)}`
  const { summary, hint } = explain(record, readTail(consolePath))
  return { summary, hint, record, consolePath, logPath, stderr: firstLines(stderr) }
}

/** The report as an error: `step` says what could not be done (`cannot start box web`). */
export function crashError(step: string, report: CrashReport): CofferError {
  const lines = [
    `${step}: ${report.summary}`,
    ...report.stderr.map(line => `  ${line}`),
    `  console: ${report.consolePath}`,
    `  stderr: ${report.logPath}`,
  ]
  return new CofferError('engine_unavailable', lines.join('\n'), {
    hint: report.hint,
    details: {
      cause: report.record?.cause ?? 'shim_killed',
      console: report.consolePath,
      log: report.logPath,
    },
  })
}

type Explanation = { readonly summary: string; readonly hint: string }

function explain(record: ExitRecord | undefined, console: string): Explanation {
  if (record === undefined)
    return {
      summary: 'its shim was killed (SIGKILL, or the host ran out of memory or was restarted)',
      hint: 'Start the box again; look for the out-of-memory killer in the host’s kernel log (dmesg).',
    }
  const panic = /Kernel panic - not syncing: (.*)/.exec(console)?.[1]
  if (panic !== undefined) return explainPanic(panic.trim())
  // What is not ready in time is ended by SIGKILL: that is not the news.
  if (record.cause === 'not_ready') return { summary: record.message, hint: notReadyHint(console) }
  if (record.signal !== undefined) return explainSignal(record.signal)
  return { summary: record.message, hint: 'Start the box again; coffer logs shows its console.' }
}

function explainPanic(panic: string): Explanation {
  const outOfMemory = /out of memory|memory/i.test(panic)
  return {
    summary: `the guest's kernel panicked: ${panic}`,
    hint: outOfMemory
      ? 'Give the box more memory (--memory).'
      : 'Start the box again; coffer logs shows its console.',
  }
}

function explainSignal(signal: string | number): Explanation {
  const number = typeof signal === 'number' ? signal : (constants.signals[signal as NodeJS.Signals] ?? 0)
  const name = Object.entries(constants.signals).find(entry => entry[1] === number)?.[0] ?? `signal ${number}`
  const hints: Readonly<Record<string, readonly [string, string]>> = {
    SIGKILL: [
      'QEMU was killed (SIGKILL)',
      'Look for the out-of-memory killer in the host’s kernel log (dmesg), then start the box again.',
    ],
    SIGSYS: [
      'QEMU used a system call its seccomp filter forbids (SIGSYS)',
      'Please report this with the paths below: it may be an attack or a bug.',
    ],
    SIGSEGV: [
      'QEMU crashed (SIGSEGV)',
      'Please report this with the paths below: it may be an attack or a bug.',
    ],
    SIGBUS: [
      'QEMU could not read memory backed by a file (SIGBUS)',
      'Check that the home’s disk is not full and its templates are not being removed.',
    ],
    SIGABRT: ['QEMU gave up (SIGABRT)', 'The lines below say why.'],
    SIGILL: ['QEMU met an instruction this processor does not have (SIGILL)', 'Run: coffer doctor'],
  }
  const [summary, hint] = hints[name] ?? [`QEMU was ended by ${name}`, 'Start the box again.']
  return { summary, hint }
}

function notReadyHint(console: string): string {
  if (console.trim() === '') return 'The guest printed nothing. Try COFFER_ACCEL=tcg, and run: coffer doctor'
  return 'The console says how far it came. A damaged template is rebuilt after: rm -r templates in the home.'
}

function readLog(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // The shim did not come far enough to have one.
    return ''
  }
}

function readTail(path: string): string {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch {
    // As above.
    return ''
  }
  try {
    const { size } = fstatSync(descriptor)
    const tail = Buffer.alloc(Math.min(size, consoleTailBytes))
    readSync(descriptor, tail, 0, tail.length, size - tail.length)
    return tail.toString('utf8')
  } finally {
    closeSync(descriptor)
  }
}

function firstLines(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trimEnd())
    .filter(line => line !== '')
    .slice(0, stderrLines)
}
