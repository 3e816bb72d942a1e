import { CofferError, isCofferError } from '../errors.ts'
import type { Box } from '../runtime/box.ts'
import type { BoxOptions } from '../runtime/options.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { type Attached, attach } from './attach.ts'
import { type BoxShape, boxOptions, mainProcess } from './box-options.ts'
import { type GlobalOptions, withRuntime } from './context.ts'
import { readEnvironment } from './environment.ts'
import { exitCodes } from './exit-codes.ts'
import { tellPolicyEnd } from './policy-end.ts'
import { executionOptions, type ProcessOptions, terminalEnvironment } from './process-options.ts'
import type { SignalRelay } from './signals.ts'
import { startBox, withProgress, withSignals } from './start-box.ts'
import { terminalSize } from './terminal.ts'
import { UsageError } from './usage-error.ts'

export type RunOptions = GlobalOptions &
  BoxShape &
  ProcessOptions & { readonly keep?: boolean; readonly rm?: boolean }

/** Makes a box, runs a command in it, and removes the box unless it is to be kept. */
export async function run(
  image: string | undefined,
  words: readonly string[],
  options: RunOptions,
): Promise<number> {
  if (options.keep === true && options.rm === true) throw new UsageError('--rm and --keep exclude each other')
  if (options.detach === true) return runDetached(image, words, options)
  const isShell = words.length === 0 && !options.entrypoint && (await isBuiltInImage(image))
  return isShell ? runAttached(image, ['sh'], withShell(options)) : runAttached(image, words, options)
}

/** The command is the main process of a box that nobody looks at: its end stops the box. */
async function runDetached(
  image: string | undefined,
  words: readonly string[],
  options: RunOptions,
): Promise<number> {
  checkDetached(options)
  if (options.rm === true && options.restart !== undefined && options.restart !== 'no')
    throw new UsageError(
      '--rm and --restart exclude each other',
      'a box that is removed when it stops is not started again',
    )
  const shape = {
    ...shared(image, options),
    ...(await detachedProcess(image, words, options)),
    tty: options.tty === true,
    ephemeral: options.rm === true,
    detach: true,
  }
  return withBox(options, shape, async (box, _signals, abort) => {
    await startBox(box, abort)
    process.stdout.write(`${box.id}\n`)
    return { exitCode: exitCodes.ok, left: true }
  })
}

/** Without a command what the image runs, but for the built-in one: a shell is of no use to nobody. */
async function detachedProcess(
  image: string | undefined,
  words: readonly string[],
  options: RunOptions,
): Promise<Pick<BoxOptions, 'command' | 'entrypoint'>> {
  if (words.length > 0 || options.entrypoint !== undefined || !(await isBuiltInImage(image)))
    return mainProcess(options, words.length === 0 ? 'image' : words)
  return options.tty === true ? { command: ['sh'] } : {}
}

function checkDetached({ timeout, rlimit, interactive, tty }: RunOptions): void {
  for (const [flag, value] of Object.entries({ '--timeout': timeout, '--rlimit': rlimit }))
    if (value !== undefined)
      throw new UsageError(
        `${flag} and -d exclude each other`,
        'coffer exec -d takes it, in a box that is there',
      )
  if (interactive === true && tty !== true)
    throw new UsageError('with -d, -i needs -t', 'without a terminal the command has no input')
}

/**
 * On a terminal the command is the box's main process: it can be left, and its end, whenever that is, stops the box.
 * Elsewhere it is an execution: that goes with its client, and a box that is kept does not do the job again.
 */
async function runAttached(
  image: string | undefined,
  words: readonly string[],
  options: RunOptions,
): Promise<number> {
  if (options.restart !== undefined && options.restart !== 'no')
    throw new UsageError('--restart needs -d', 'without it the box ends with the command')
  const tty = options.tty === true
  const { cwd: _cwd, user: _user, env: _env, ...execution } = executionOptions(options)
  const isMain = tty && options.timeout === undefined && options.rlimit === undefined
  const keep = options.keep === true
  const shape = {
    ...shared(image, options),
    ...(isMain ? { ...mainProcess(options, words.length === 0 ? 'image' : words), tty: terminalSize() } : {}),
    ephemeral: !keep,
    // What is left outlives us, and a kept box whoever starts it again.
    detach: isMain || keep,
  }
  return withBox(options, shape, async (box, signals, abort) => {
    if (isMain) return joinMain(box, signals, abort, options)
    const [file = '', ...args] = await executionWords(box, words, options, abort)
    await startBox(box, abort)
    return attach(await box.exec(file, args, execution), { tty, signals })
  })
}

/** What `docker run` would run. The box does not know of it: it is an execution. */
async function executionWords(
  box: Box,
  words: readonly string[],
  { entrypoint }: RunOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const line =
    entrypoint === undefined
      ? await withProgress(onProgress => box.commandLine(words, { onProgress, signal }))
      : [...(entrypoint === '' ? [] : [entrypoint]), ...words]
  if (line.length > 0) return line
  const { image } = await box.info()
  throw new CofferError('invalid_argument', `image ${image} has no command of its own`, {
    hint: `Name the command to run: coffer run ${image} -- CMD`,
    details: { image },
  })
}

async function joinMain(
  box: Box,
  signals: SignalRelay,
  abort: AbortSignal,
  { interactive, detachKeys }: RunOptions,
): Promise<Attached> {
  const main = await withProgress(onProgress => box.attach({ onProgress, signal: abort }))
  return attach(main, { tty: true, signals, detachKeys, input: interactive === true })
}

/** The settings that are the box's rather than one command's: a box that is kept keeps them. */
function shared(image: string | undefined, options: RunOptions): BoxOptions {
  const terminal = options.tty === true ? terminalEnvironment() : {}
  return {
    ...boxOptions(options, image),
    env: { ...terminal, ...readEnvironment(options.env, options.envFile) },
    ...(options.workdir === undefined ? {} : { workdir: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
  }
}

async function withBox(
  options: RunOptions,
  shape: BoxOptions,
  use: (box: Box, signals: SignalRelay, abort: AbortSignal) => Promise<Attached>,
): Promise<number> {
  return withSignals((signals, abort) =>
    withRuntime(options, async runtime => {
      const box = await runtime.create(shape, options.name)
      let attached: Attached | undefined
      try {
        attached = await use(box, signals, abort)
        return attached.exitCode
      } finally {
        if (attached?.left !== true) await tidy(runtime, box, options.keep === true)
        // An error names the cause itself.
        if (attached?.left === false) await tellPolicyEnd(runtime, box, options)
      }
    }),
  )
}

async function tidy(runtime: Runtime, box: Box, keep: boolean): Promise<void> {
  try {
    // One that did not even start is of no use to anybody.
    if (keep && (await box.info()).startedAt !== undefined) await box.stop()
    else await runtime.remove(box.id, { force: true })
  } catch (error) {
    // It went with its stop, or with the start that failed.
    if (!isCofferError(error, 'not_found')) throw error
  }
}

/** A shell needs someone to talk to: at a terminal it gets it, elsewhere it would end at once without a word. */
function withShell(options: RunOptions): RunOptions {
  if (options.interactive === true || options.tty === true) return options
  if (process.stdin.isTTY === true && process.stdout.isTTY === true)
    return { ...options, interactive: true, tty: true }
  throw new UsageError(
    'no command to run',
    'name one, as in `coffer run -- uname -a`, or pass a script to `coffer run -i`',
  )
}

async function isBuiltInImage(image: string | undefined): Promise<boolean> {
  // Imported here because it loads more than `--help` needs.
  const { isBuiltIn } = await import('../image/builtin.ts')
  return image === undefined || isBuiltIn(image)
}
