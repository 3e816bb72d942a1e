import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after } from 'node:test'
import { shareCache } from '../shared-cache.ts'

const program = join(import.meta.dirname, '../../bin/coffer.js')

export type Ended = {
  readonly code: number | null
  readonly stdout: string
  readonly bytes: Buffer
  readonly stderr: string
}

export type Coffer = {
  readonly home: string
  /** Runs a command line to its end, with nothing or `input` on its standard input. */
  run(words: readonly string[], input?: string | Buffer, env?: NodeJS.ProcessEnv): Promise<Ended>
  /** Starts a command line whose streams and signals the test has in its hand. */
  start(words: readonly string[]): ChildProcessWithoutNullStreams
}

export type CofferOptions = {
  /** Boot templates and empty disks are those that all tests share, as with `openTestHome`. Default: the home makes its own. */
  readonly sharedTemplates?: boolean
}

/** The command line on a home of its own, with a boot template of its own: one for each test file. */
export function cofferForThisFile(options: CofferOptions = {}): Coffer {
  const home = mkdtempSync(join(tmpdir(), 'coffer-cli-'))
  if (options.sharedTemplates === true) shareCache(home, ['templates', 'disks'])
  const start = (words: readonly string[], env?: NodeJS.ProcessEnv) =>
    spawn(program, words, {
      env: { ...process.env, COFFER_HOME: home, NO_COLOR: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  const run: Coffer['run'] = (words, input = '', env) => ended(start(words, env), input)
  after(async () => {
    const boxes = (await run(['ps', '-aq'])).stdout.split('\n').filter(Boolean)
    if (boxes.length > 0) await run(['rm', '-f', ...boxes])
    rmSync(home, { recursive: true })
  })
  return { home, run, start: words => start(words) }
}

async function ended(child: ChildProcessWithoutNullStreams, input: string | Buffer): Promise<Ended> {
  const { stdin, stdout, stderr } = child
  // It may end without having read its input.
  stdin.on('error', () => {})
  stdin.end(input)
  const code = exitCode(child)
  const [bytes, errors] = await Promise.all([buffer(stdout), buffer(stderr)])
  return { code: await code, bytes, stdout: bytes.toString(), stderr: errors.toString() }
}

export function exitCode(child: ChildProcess): Promise<number | null> {
  return new Promise(resolve => child.once('exit', resolve))
}
