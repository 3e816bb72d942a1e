import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import type { RegistryOptions } from '../../src/image/registry/settings.ts'
import { scratchDirectory } from '../scratch.ts'
import { type CertificateFiles, makeCertificate } from './certificate.ts'
import { startTokenServer, type TokenServer } from './token-server.ts'

const execute = promisify(execFile)

export type TestRegistryOptions = {
  /** `basic`: an htpasswd file. `token`: a token server on another port whose tokens the registry verifies. Default `none`. */
  readonly auth?: 'none' | 'basic' | 'token'
  /** Https with a certificate of a private authority, whose certificate is `caFile`. Default false. */
  readonly tls?: boolean
}

/** A real docker-registry on a free port of 127.0.0.1, with its storage in a directory of its own. */
export type TestRegistry = AsyncDisposable & {
  /** `127.0.0.1:PORT`, as it stands in an image reference. */
  readonly host: string
  /** `http://…` or `https://…`, without a path. */
  readonly url: string
  readonly username: string
  readonly password: string
  readonly caFile: string | undefined
  /** The directory the registry keeps its blobs in: `docker/registry/v2/blobs/sha256/ab/abcd…/data`. */
  readonly storage: string
  /** How Coffer is told to reach it: its authority, where it has one of its own. Of the shape of `registries.json`. */
  readonly options: RegistryOptions
  /** What issues the tokens, with `auth: 'token'`. */
  readonly tokens: TokenServer | undefined
  /** The path of a blob in the storage, for tests that damage it. */
  blobPath(digest: string): string
  /** `skopeo copy SOURCE docker://HOST/NAME`: `push('oci:/layout:tag', 'team/app:1')`. */
  push(source: string, name: string, ...options: string[]): Promise<void>
}

export const registryUsername = 'reader'
export const registryPassword = 'correct horse: battery'

export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  await using owned = new AsyncDisposableStack()
  const { path } = owned.use(scratchDirectory('registry'))
  const storage = join(path, 'storage')
  mkdirSync(storage)
  const certificate = options.tls === true ? await makeCertificate(path, 'server') : undefined
  const tokens = options.auth === 'token' ? owned.use(await startTokenServer(path, certificate)) : undefined
  const config = join(path, 'config.json')
  writeFileSync(config, JSON.stringify(await configuration(path, storage, options, certificate, tokens)))

  // The registry must not outlive a test process that is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'docker-registry', 'serve', config], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  owned.defer(() => endProcess(child))
  const host = await listeningAddress(child)

  const resources = owned.move()
  return {
    host,
    url: `${certificate === undefined ? 'http' : 'https'}://${host}`,
    username: registryUsername,
    password: registryPassword,
    caFile: certificate?.caFile,
    storage,
    tokens,
    options: coffersOptions([host, tokens?.host], certificate?.caFile),
    blobPath: digest => blobPath(storage, digest),
    push: (source, name, ...more) => push(source, `${host}/${name}`, options, more),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function coffersOptions(hosts: readonly (string | undefined)[], caFile: string | undefined): RegistryOptions {
  if (caFile === undefined) return {}
  const known = hosts.filter(host => host !== undefined)
  return { registries: Object.fromEntries(known.map(host => [host, { caFile }])) }
}

// The registry reads YAML, of which JSON is a part.
async function configuration(
  path: string,
  storage: string,
  options: TestRegistryOptions,
  certificate: CertificateFiles | undefined,
  tokens: TokenServer | undefined,
): Promise<object> {
  return {
    version: '0.1',
    log: { level: 'info', formatter: 'json', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: {
      addr: '127.0.0.1:0',
      secret: 'shared by nobody',
      ...(certificate && { tls: { certificate: certificate.certificateFile, key: certificate.keyFile } }),
    },
    ...(options.auth === 'basic' && {
      auth: { htpasswd: { realm: 'coffer tests', path: await passwordFile(path) } },
    }),
    ...(tokens && {
      auth: {
        token: {
          realm: tokens.realm,
          service: tokens.service,
          issuer: tokens.issuer,
          rootcertbundle: tokens.certificateFile,
        },
      },
    }),
  }
}

async function passwordFile(path: string): Promise<string> {
  const file = join(path, 'htpasswd')
  // The registry accepts bcrypt only; cost 4 is the least, for speed.
  await execute('htpasswd', ['-c', '-b', '-B', '-C', '4', file, registryUsername, registryPassword])
  return file
}

/** The port is the kernel's choice: the registry says in its log which one it got. */
async function listeningAddress(child: ChildProcess): Promise<string> {
  const { stderr } = child
  if (stderr === null) throw new Error('docker-registry has no standard error')
  const said: string[] = []
  // Not `for await`: leaving it would close the pipe, and the registry's next line of log would end it.
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    const lines = createInterface({ input: stderr })
    lines.on('line', line => {
      said.push(line)
      const address = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1]
      if (address !== undefined) resolve(address)
    })
    lines.once('close', () => reject(new Error(`docker-registry ended:\n${said.join('\n')}`)))
  })
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

function blobPath(storage: string, digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':')
  return join(storage, 'docker/registry/v2/blobs', algorithm, hex.slice(0, 2), hex, 'data')
}

async function push(
  source: string,
  destination: string,
  options: TestRegistryOptions,
  more: readonly string[],
): Promise<void> {
  const withAuth = options.auth === 'basic' || options.auth === 'token'
  await execute('skopeo', [
    'copy',
    '--quiet',
    '--insecure-policy',
    '--dest-tls-verify=false',
    ...(withAuth ? ['--dest-creds', `${registryUsername}:${registryPassword}`] : []),
    ...more,
    source,
    `docker://${destination}`,
  ])
}

/** The bytes of a file as the registry keeps it. */
export function storedBlob(registry: TestRegistry, digest: string): Buffer {
  return readFileSync(registry.blobPath(digest))
}
