import { spawn } from 'node:child_process'
import { CofferError, systemErrorCode } from '../../errors.ts'
import type { Credentials } from './credentials.ts'

export type HelperOptions = {
  readonly environment: NodeJS.ProcessEnv
  readonly signal?: AbortSignal | undefined
  /** Default 30 s: a helper may have to ask its user to unlock a key ring. */
  readonly timeoutMs?: number
}

const maxOutputBytes = 64 << 10
/** What the helpers of Docker print when they have nothing for a server. */
const notFound = 'credentials not found in native keychain'

/**
 * Runs `docker-credential-NAME get` for a server. Undefined if it knows none.
 * Throws `config_error` when it is missing, fails, prints too much or what is no JSON, `timeout`, or `aborted`. What it printed is in no
 * message: it may be the password.
 */
export async function askCredentialHelper(
  name: string,
  server: string,
  options: HelperOptions,
): Promise<Credentials | undefined> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/.test(name))
    throw helperError(JSON.stringify(name.slice(0, 100)), 'that is no name of a helper')
  const program = `docker-credential-${name}`
  const { output, exitCode } = await run(program, `${server}\n`, options)
  if (exitCode !== 0) {
    if (output.trim() === notFound) return undefined
    throw helperError(program, `it failed with exit code ${exitCode}`)
  }
  return parseAnswer(program, output)
}

async function run(
  program: string,
  input: string,
  options: HelperOptions,
): Promise<{ output: string; exitCode: number | null }> {
  const { timeoutMs = 30_000, signal } = options
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  if (either.aborted) throw ended(program, timeoutMs, signal)
  const child = spawn(program, ['get'], {
    env: options.environment,
    stdio: ['pipe', 'pipe', 'ignore'],
    // A group of its own: a helper is often a script, and what it started must end with it.
    detached: true,
  })
  const end = () => {
    // Also what left the group and holds the pipe must not keep us.
    child.stdout.destroy()
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch (error) {
      if (systemErrorCode(error) !== 'ESRCH') throw error
    }
  }
  either.addEventListener('abort', end)
  try {
    // A helper that does not read its input closes the pipe: its exit code says what matters.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const chunks: Buffer[] = []
    let bytes = 0
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxOutputBytes) chunks.push(chunk)
      else end()
    })
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    if (either.aborted) throw ended(program, timeoutMs, signal)
    if (bytes > maxOutputBytes) throw helperError(program, `it printed more than ${maxOutputBytes} bytes`)
    return { output: Buffer.concat(chunks).toString('utf8'), exitCode }
  } catch (error) {
    if (error instanceof CofferError) throw error
    const missing = systemErrorCode(error) === 'ENOENT'
    throw helperError(program, missing ? 'it is not in PATH' : (systemErrorCode(error) ?? 'it did not start'))
  } finally {
    either.removeEventListener('abort', end)
  }
}

function parseAnswer(program: string, output: string): Credentials {
  let value: unknown
  try {
    value = JSON.parse(output)
  } catch {
    throw helperError(program, 'it printed what is not JSON')
  }
  const username = Reflect.get(Object(value), 'Username')
  const secret = Reflect.get(Object(value), 'Secret')
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw helperError(program, 'it printed no Username and Secret')
  // The convention by which helpers say that the secret is no password.
  if (username === '<token>') return { kind: 'identityToken', token: secret }
  return { kind: 'basic', username, password: secret }
}

function ended(program: string, timeoutMs: number, signal: AbortSignal | undefined): CofferError {
  if (signal?.aborted)
    return new CofferError('aborted', `asking ${program} was given up`, { cause: signal.reason })
  return new CofferError('timeout', `${program} gave no credentials within ${timeoutMs} ms`)
}

function helperError(program: string, problem: string): CofferError {
  return new CofferError('config_error', `cannot get credentials from ${program}: ${problem}`, {
    hint: "Docker's configuration names it; log in with coffer login HOST to do without it.",
  })
}
