import type { Command } from 'commander'
import { ask, askSecret, canAsk } from '../ask.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'
import { standardInput } from '../standard-input.ts'
import { withSignals } from '../start-box.ts'
import { UsageError } from '../usage-error.ts'

type Options = GlobalOptions & {
  readonly username?: string
  readonly password?: string
  readonly passwordStdin?: boolean
}

export const defaultRegistry = 'docker.io'

export function addLogin(program: Command, context: Context): void {
  const command = program
    .command('login')
    .summary('log in to a registry')
    .description(
      'Has a registry (Docker Hub by default) check a user name and password, and keeps them in credentials.json of the home, which only ' +
        'its owner can read. Asks for what is not given, on the terminal.',
    )
    .argument('[REGISTRY]')
    .option('-u, --username <USER>', 'the user name')
    .option('--password-stdin', 'read the password from standard input')
    .option('-p, --password <PASSWORD>', 'the password; other users of this machine see it there')
    .action(async (registry: string = defaultRegistry) => {
      context.exitCode = await login(registry, command.optsWithGlobals<Options>())
    })
  addExamples(command, 'coffer login -u me ghcr.io', 'coffer login -u me --password-stdin ghcr.io < token')
}

async function login(registry: string, options: Options): Promise<number> {
  checkOptions(options)
  return withSignals(async (_signals, signal) => {
    const credentials = await credentialsOf(registry, options, signal)
    await withRuntime(options, runtime => runtime.images.login(registry, credentials, { signal }))
    process.stderr.write(`coffer: logged in to ${registry} as ${credentials.username}\n`)
    return exitCodes.ok
  })
}

function checkOptions({ username, password, passwordStdin }: Options): void {
  if (passwordStdin === true && password !== undefined)
    throw new UsageError('--password and --password-stdin exclude each other')
  if (passwordStdin === true && username === undefined)
    throw new UsageError(
      '--password-stdin needs --username',
      'standard input has the password and nothing else',
    )
  const isComplete = username !== undefined && (password !== undefined || passwordStdin === true)
  if (!isComplete && !canAsk())
    throw new UsageError(
      'there is no terminal to ask for user name and password on',
      'pass the password on: coffer login -u USER --password-stdin REGISTRY < FILE',
    )
  if (password !== undefined)
    process.stderr.write(
      'coffer: warning: other users of this machine can see a password on the command line, and shells keep it; use --password-stdin\n',
    )
}

async function credentialsOf(
  registry: string,
  { username, password, passwordStdin }: Options,
  signal: AbortSignal,
): Promise<{ username: string; password: string }> {
  const user = username ?? (await ask(`User name for ${registry}:`, signal))?.trim()
  if (user === undefined || user === '') throw new UsageError('there is no user name')
  const secret =
    password ??
    (passwordStdin === true ? await readPassword() : await askSecret(`Password of ${user}:`, signal))
  if (secret === undefined || secret === '') throw new UsageError('there is no password')
  return { username: user, password: secret }
}

const maxPasswordBytes = 64 * 1024

/** All of standard input but the line end that editors and echo leave. */
async function readPassword(): Promise<string> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of standardInput('the password')) {
    bytes += piece.length
    if (bytes > maxPasswordBytes) throw new UsageError(`the password has more than ${maxPasswordBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
    .toString()
    .replace(/\r?\n$/, '')
}
