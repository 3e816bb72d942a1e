// The process that attach.test.ts looks at: `attach` joined to an execution that is made of streams alone.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import type { Execution } from '../runtime/execution.ts'
import type { Result } from '../runtime/options.ts'
import { attach } from './attach.ts'
import { parseDetachKeys } from './detach-keys.ts'
import { SignalRelay } from './signals.ts'

const ended = Promise.withResolvers<Result>()
const end = (exitCode: number, signal?: string) =>
  ended.resolve({ exitCode, ok: exitCode === 0, signal, timedOut: false, outOfMemory: false, durationMs: 1 })
const stdout = new PassThrough()
const stderr = new PassThrough()
const stdin = new PassThrough()
const [mode, manner] = process.argv.slice(2)

const execution: Pick<
  Execution,
  'stdin' | 'stdout' | 'stderr' | 'wait' | 'killTree' | 'signal' | 'resize' | 'detach'
> = {
  stdin: mode === 'echo' ? stdin : undefined,
  stdout,
  stderr,
  wait: () => ended.promise,
  async killTree() {
    process.stderr.write('kill\n')
    close(-9, 'SIGKILL')
  },
  async signal(name) {
    process.stderr.write(`signal ${name}\n`)
    stdout.write('ignored\n')
  },
  async resize() {},
  async detach() {
    process.stderr.write('detach\n')
    ended.reject(new Error('left'))
    stdout.end()
    stderr.end()
  },
}

function close(exitCode: number, signal?: string): void {
  end(exitCode, signal)
  if (!stdout.writableEnded) stdout.end()
  if (!stderr.writableEnded) stderr.end()
}

if (mode === 'bytes') {
  const bytes = randomBytes(8 * 1024 * 1024)
  stderr.write(`sha256 ${createHash('sha256').update(bytes).digest('hex')}\n`)
  Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
    })(),
  ).pipe(stdout)
  stdout.once('end', () => close(0))
}
if (mode === 'echo') {
  stdin.pipe(stdout)
  stdin.once('end', () => close(7))
}
if (mode === 'flood') {
  void (async () => {
    while (!stdout.writableEnded) {
      if (!stdout.write(Buffer.alloc(65_536))) await once(stdout, 'drain')
    }
  })()
}
if (mode === 'stubborn') stdout.write('ready\n')

// A real execution has a socket, which keeps the process alive.
setInterval(() => {}, 1000)
const signals = new SignalRelay(() => {})
const { exitCode } = await attach(execution as Execution, {
  tty: false,
  signals,
  detachKeys: parseDetachKeys('ctrl-p,ctrl-q'),
  joined: manner !== undefined,
  keepSignals: manner === 'keep-signals',
})
process.exit(exitCode)
