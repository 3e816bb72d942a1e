import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import { parseThawed } from '../guest/parse.ts'
import { signalTargets } from '../guest/protocol.ts'
import { ExecutionRefused, type RemoteExecution } from '../guest/remote-execution.ts'
import type { Session } from '../guest/session.ts'
import { commitImage } from '../image/commit/commit-image.ts'
import { parseChanges } from '../image/commit/parse-changes.ts'
import { describeImage, type ImageInfo } from '../image/describe.ts'
import type { Image } from '../image/images.ts'
import { evict } from '../image/prune.ts'
import { newNames } from '../image/sources/new-name.ts'
import { ImageStore } from '../image/store.ts'
import { shimFiles } from '../shim/launch.ts'
import { writeFileAtomic } from '../state/atomic-file.ts'
import { createId } from '../state/box-id.ts'
import type { ManifestRow } from '../state/images.ts'
import { findBuilt } from '../vm/components.ts'
import type { BoxConnection, BoxContext } from './box-connection.ts'
import { refusedError } from './execution.ts'
import type { StepListener } from './options.ts'
import { checkKeys, checkObject } from './validate.ts'

export type CommitOptions = {
  /**
   * Default true: the box's processes and its disk stand still meanwhile, so the image is the disk at one moment. With false, files that
   * are being written may be in it half-written.
   */
  readonly pause?: boolean
  readonly author?: string
  readonly message?: string
  /** As in a Dockerfile: `CMD ["sh"]`, `ENV A=1`; and ENTRYPOINT, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR. */
  readonly changes?: readonly string[]
  /** Of the new layer. Default gzip, which everything reads. */
  readonly compression?: 'gzip' | 'zstd' | 'none'
  readonly signal?: AbortSignal
  readonly onProgress?: StepListener
}

const known: readonly (keyof CommitOptions)[] = [
  'pause',
  'author',
  'message',
  'changes',
  'compression',
  'signal',
  'onProgress',
]

type Committing = {
  readonly context: BoxContext
  readonly connection: BoxConnection
  readonly image: Image
  readonly name: string | undefined
  readonly options: CommitOptions
}

/**
 * Makes an image of a box: its image, and one layer of what was changed on its disk since. A box that does not run is started for it, without its main
 * process, and stopped again. Its own command, environment and so on are not in the image: `changes` say what is to be.
 *
 * @throws `invalid_argument`, `invalid_state` for a box that is paused, `resource_exhausted`, `execution_failed` if something of the disk
 *   cannot be in an image, `stopped` when the box ends meanwhile, `aborted`, `storage_error`
 */
export async function commitBox(committing: Committing): Promise<ImageInfo> {
  const { context, connection, image, options } = committing
  const { label, directory } = connection.place
  checkKeys('options', checkObject('options', options), known)
  if (connection.row().status === 'paused')
    throw new CofferError('invalid_state', `cannot commit box ${label}: it is paused`, {
      hint: `Let it go on: coffer unpause ${label}`,
    })
  const changes = parseChanges(options.changes ?? [])
  newNames(committing.name)
  // 1. The running box. One that is started for this keeps the word on how it ended before.
  const before = connection.row()
  const running = await connection.connectIfRunning()
  const exitFile = join(directory, shimFiles.exit)
  const exitRecord = running === undefined && existsSync(exitFile) ? readFileSync(exitFile) : undefined
  const { signal, onProgress } = options
  const session =
    running ??
    (await connection.connect({ image, ...(signal && { signal }), ...(onProgress && { onProgress }) }))
  // 2. Without the box's lock: whoever wants to stop it must not wait for a guest that does not answer.
  try {
    const store = new ImageStore(context.images)
    const row = await commitImageOf(committing, store, session, changes)
    await evict(store, row.digest)
    return await describeImage(store, row)
  } catch (error) {
    throw await connection.explain(`cannot commit box ${label}`, error)
  } finally {
    if (running === undefined) {
      using _lock = await connection.lock()
      await connection.stopLocked(stopTimeoutMs)
      if (exitRecord !== undefined) writeFileAtomic(exitFile, exitRecord)
      if (before.status !== 'configured') context.store.restoreEnd(before)
    }
  }
}

const stopTimeoutMs = 10_000

async function commitImageOf(
  { connection, image, name, options }: Committing,
  store: ImageStore,
  session: Session,
  changes: ReturnType<typeof parseChanges>,
): Promise<ManifestRow> {
  const { label } = connection.place
  const base =
    image.digest === undefined
      ? { busybox: findBuilt('busybox', 'the busybox of the built-in image') }
      : await store.require(image.digest)
  options.onProgress?.({ step: `committing box ${label}` })
  await using freeze = options.pause === false ? undefined : await Freeze.begin(session, label)
  async function* diff(): AsyncGenerator<Uint8Array> {
    yield* changesOf(session, label, options.signal)
    await freeze?.end()
  }
  return await commitImage(store, diff(), {
    base,
    name,
    changes,
    author: options.author,
    message: options.message,
    createdBy: `coffer commit ${label}`,
    compression: options.compression,
    signal: options.signal,
  })
}

/** Keeps a box's processes and disk still. The guest lets go by itself soon after whoever asked for it is gone. */
class Freeze implements AsyncDisposable {
  readonly #session: Session
  readonly #label: string
  readonly #timer: NodeJS.Timeout
  #isHeld = true

  private constructor(session: Session, label: string) {
    this.#session = session
    this.#label = label
    this.#timer = setInterval(() => void freeze(session).catch(() => {}), freezeMs / 4)
  }

  static async begin(session: Session, label: string): Promise<Freeze> {
    try {
      await freeze(session)
    } catch (error) {
      if (!(error instanceof ExecutionRefused)) throw error
      throw new CofferError(
        'engine_unavailable',
        `cannot commit box ${label}: it does not hold still: ${error.message}`,
        {
          hint: 'Commit without pausing (--no-pause), or stop the box first.',
          cause: error,
        },
      )
    }
    return new Freeze(session, label)
  }

  /** Throws `invalid_state` if the box did not stand still all the time. */
  async end(): Promise<void> {
    const { held } = await this.#thaw().catch((error: unknown) => {
      // It is paused, or about to end.
      if (error instanceof ExecutionRefused) return { held: false }
      throw error
    })
    if (held) return
    throw new CofferError(
      'invalid_state',
      `cannot commit box ${this.#label}: it did not stand still meanwhile`,
      {
        hint: 'Try again, or commit without pausing (--no-pause).',
      },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What failed before says more, and a guest that is gone needs no thaw.
    if (this.#isHeld) await this.#thaw().catch(() => {})
  }

  async #thaw(): Promise<{ readonly held: boolean }> {
    this.#isHeld = false
    clearInterval(this.#timer)
    return parseThawed(await this.#session.request('thaw'))
  }
}

const freezeMs = 20_000

async function freeze(session: Session): Promise<void> {
  await session.request('freeze', { timeoutMs: freezeMs })
}

/** The layer as the agent writes it; fails at its end unless it is all there is. */
async function* changesOf(
  session: Session,
  label: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const remote = session.execute({
    builtin: 'diff',
    argv: ['diff'],
    env: [],
    stdin: false,
    id: createId(),
    detach: false,
  })
  // Without waiting for the guest, which may be paused.
  const givenUp = Promise.withResolvers<never>()
  givenUp.promise.catch(() => {})
  const abort = (): void => {
    const error = new CofferError('aborted', `the commit of box ${label} was given up`, {
      cause: signal?.reason,
    })
    givenUp.reject(error)
    remote.stdout.destroy(error)
  }
  if (signal?.aborted === true) abort()
  signal?.addEventListener('abort', abort, { once: true })
  const said = beginningOf(remote)
  let isWhole = false
  try {
    await Promise.race([remote.started, givenUp.promise])
    yield* remote.stdout
    const { code } = await Promise.race([remote.exited, givenUp.promise])
    if (code !== 0) throw incomplete(label, await said)
    isWhole = true
  } catch (error) {
    throw error instanceof ExecutionRefused ? refusedError('diff', error, label) : error
  } finally {
    signal?.removeEventListener('abort', abort)
    if (!isWhole) {
      remote.signal(sigkill, signalTargets.tree)
      remote.discard()
    }
  }
}

const sigkill = 9
const maxSaidBytes = 4096

async function beginningOf(remote: RemoteExecution): Promise<string> {
  let said = ''
  try {
    for await (const chunk of remote.stderr) if (said.length < maxSaidBytes) said += String(chunk)
  } catch {
    // The loss of the box is told by standard output.
  }
  return said.slice(0, maxSaidBytes)
}

/** The box chose the names in it, and a terminal may show them. */
function incomplete(label: string, said: string): CofferError {
  const lines = said.split('\n').filter(line => line !== '')
  const shown = lines.slice(0, 3).map(line => line.replace(/\p{Cc}/gu, '?').slice(0, 300))
  return new CofferError(
    'execution_failed',
    `cannot commit box ${label}: ${shown.join('; ') || 'its changes cannot be read'}`,
    {
      hint: 'Remove or rename what cannot be in an image, then commit again.',
    },
  )
}
