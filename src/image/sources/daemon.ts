import { statSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { CofferError, systemErrorCode } from '../../errors.ts'
import type { ManifestRow } from '../../state/images.ts'
import { familiarReference, formatReference, parseReference } from '../reference.ts'
import type { ImageStore } from '../store.ts'
import { type LoadOptions, takeImages } from './load.ts'
import { inSource } from './source-error.ts'

export type DaemonOptions = Omit<LoadOptions, 'name'> & {
  /** Where `DOCKER_HOST` and `XDG_RUNTIME_DIR` are looked up. Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv | undefined
}

const connectTimeoutMs = 10_000
const maxMessageBytes = 4096

const startHint =
  'Start Docker, or Podman’s service (systemctl --user start podman.socket), or set DOCKER_HOST=unix://PATH.'

/**
 * Takes in an image of Docker or Podman on this machine, through its socket: `DOCKER_HOST` if it is a `unix://` one, else Docker's, else Podman's own.
 *
 * @param name as Docker and Podman call it
 * @throws `not_found`, `upstream_unavailable` without a daemon, `unsupported` for one on another machine; as `loadImages`
 */
export async function loadFromDaemon(
  name: string,
  store: ImageStore,
  options: DaemonOptions = {},
): Promise<ManifestRow> {
  const image = familiarReference(parseReference(name))
  try {
    const socket = findSocket(options.environment ?? process.env)
    const response = await ask(socket, `/images/${encodeURI(image)}/get`, options.signal)
    const [row] = await takeImages(guarded(response, socket, options.signal), store, {
      ...options,
      name: formatReference(parseReference(name)),
    })
    if (row === undefined) throw noSuchImage(socket, ': it sends an archive without images')
    return row
  } catch (error) {
    throw inSource(`load ${image} from the local daemon`, error)
  }
}

function findSocket(environment: NodeJS.ProcessEnv): string {
  const host = environment['DOCKER_HOST']
  if (host !== undefined && host !== '') {
    if (host.startsWith('unix://')) return host.slice('unix://'.length)
    throw new CofferError('unsupported', `DOCKER_HOST is ${host}, which is no socket of this machine`, {
      hint: 'Save the image there and load the archive: docker save IMAGE | coffer load',
    })
  }
  const runtime = environment['XDG_RUNTIME_DIR']
  const candidates = [
    '/var/run/docker.sock',
    ...(runtime === undefined || runtime === '' ? [] : [join(runtime, 'podman/podman.sock')]),
    '/run/podman/podman.sock',
  ]
  const found = candidates.find(path => statSync(path, { throwIfNoEntry: false })?.isSocket() === true)
  if (found !== undefined) return found
  throw new CofferError('upstream_unavailable', `there is no socket at ${candidates.join(', ')}`, {
    hint: startHint,
  })
}

/** The body of a good answer. */
async function ask(
  socketPath: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request({ socketPath, path, host: 'localhost', signal, agent: false }, resolve)
    // Until it answers; saving a large image takes longer than any limit.
    asked.setTimeout(connectTimeoutMs, () => {
      if (asked.socket?.connecting !== false) asked.destroy(new Error('no connection in time'))
    })
    asked.once('error', error => reject(lost(socketPath, error, signal)))
    asked.end()
  })
  if (response.statusCode === 200) return response
  const said = await message(response)
  if (response.statusCode === 404) throw noSuchImage(socketPath, said)
  throw new CofferError('upstream_unavailable', `${socketPath} answers with ${response.statusCode}${said}`, {
    hint: 'docker info, or podman info, may say what is wrong with it.',
  })
}

function noSuchImage(socketPath: string, said: string): CofferError {
  return new CofferError('not_found', `${socketPath} has no such image${said}`, {
    hint: 'docker images, or podman images, lists what it has.',
  })
}

async function* guarded(
  response: IncomingMessage,
  socketPath: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* response
  } catch (error) {
    throw lost(socketPath, error, signal)
  }
}

function lost(socketPath: string, error: unknown, signal: AbortSignal | undefined): CofferError {
  if (signal?.aborted === true) return new CofferError('aborted', 'it was given up', { cause: signal.reason })
  const code = systemErrorCode(error)
  if (code === 'EACCES')
    return new CofferError('permission_denied', `${socketPath} may not be used by this user`, {
      hint: 'Add the user to the group docker, or use rootless Podman.',
      cause: error,
    })
  return new CofferError(
    'upstream_unavailable',
    `the connection to ${socketPath} failed (${code ?? error})`,
    { hint: startHint, cause: error },
  )
}

/** What the daemon says, for people. */
async function message(response: IncomingMessage): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk
      if (text.length > maxMessageBytes) break
    }
    const said: unknown = Reflect.get(Object(JSON.parse(text)), 'message')
    return typeof said === 'string' ? `: ${said.replace(/\p{Cc}+/gu, ' ').slice(0, 300)}` : ''
  } catch {
    // Not every answer is JSON, and none is more than an explanation.
    return ''
  }
}
