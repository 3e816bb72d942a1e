import { readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { CofferError, systemErrorCode } from '../../errors.ts'
import { askCredentialHelper } from './credential-helper.ts'
import type { Credentials } from './credentials.ts'

type DockerConfig = {
  readonly auths: JsonObject
  readonly credHelpers: JsonObject
  readonly credsStore: unknown
}
type JsonObject = Readonly<Record<string, unknown>>

/** Docker's own login for Docker Hub is under the address of an index that is long gone. */
const dockerHubKey = 'https://index.docker.io/v1/'
const maxFileBytes = 4 << 20

/**
 * What Docker would use for `registry`: the helper of that host, else the store of credentials, else the file itself.
 * Throws `config_error` for a file that is damaged or a helper that fails.
 */
export async function dockerCredentials(
  registry: string,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<Credentials | undefined> {
  const file = join(
    environment['DOCKER_CONFIG'] || join(environment['HOME'] || homedir(), '.docker'),
    'config.json',
  )
  const config = readConfig(file)
  if (config === undefined) return undefined
  const key = registry === 'docker.io' ? dockerHubKey : registry
  const helper = config.credHelpers[key] ?? config.credHelpers[registry] ?? config.credsStore
  if (typeof helper === 'string' && helper !== '') {
    const found = await askCredentialHelper(helper, key, { environment, signal })
    if (found !== undefined) return found
  }
  const entry = authEntry(config.auths, registry, key)
  return entry === undefined ? undefined : parseEntry(file, registry, entry)
}

function readConfig(file: string): DockerConfig | undefined {
  let value: unknown
  try {
    if (statSync(file).size > maxFileBytes) throw damaged(file, `it has more than ${maxFileBytes} bytes`)
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    if (error instanceof CofferError) throw error
    // The parser's message quotes the text, which may hold passwords: it is not passed on.
    throw damaged(file, code ?? 'it is not valid JSON')
  }
  const root = objectOf(value)
  return {
    auths: objectOf(root['auths']),
    credHelpers: objectOf(root['credHelpers']),
    credsStore: root['credsStore'],
  }
}

/** Old logins are kept under addresses: `https://ghcr.io`, `registry.example.com/v1/`. */
function authEntry(auths: JsonObject, registry: string, key: string): JsonObject | undefined {
  const names = Object.keys(auths)
  const hosts =
    registry === 'docker.io' ? ['docker.io', 'index.docker.io', 'registry-1.docker.io'] : [registry]
  const name =
    names.find(candidate => candidate === key) ?? names.find(candidate => hosts.includes(hostOf(candidate)))
  return name === undefined ? undefined : objectOf(auths[name])
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/', 1)[0] ?? ''
}

function parseEntry(file: string, registry: string, entry: JsonObject): Credentials | undefined {
  const text = (name: string) => {
    const value = entry[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const registryToken = text('registrytoken')
  if (registryToken !== undefined) return { kind: 'bearer', token: registryToken }
  const identityToken = text('identitytoken')
  if (identityToken !== undefined) return { kind: 'identityToken', token: identityToken }
  const auth = text('auth')
  if (auth === undefined) {
    const [username, password] = [text('username'), text('password')]
    return username === undefined || password === undefined
      ? undefined
      : { kind: 'basic', username, password }
  }
  const decoded = Buffer.from(auth, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  if (colon < 1) throw damaged(file, `the login for ${registry} is not base64 of USER:PASSWORD`)
  // Docker pads with NUL in some versions.
  const password = decoded.slice(colon + 1).replace(/\0+$/, '')
  return { kind: 'basic', username: decoded.slice(0, colon), password }
}

// Without a prototype: a host named `constructor` must not be found.
function objectOf(value: unknown): JsonObject {
  const entries =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
  const object: Record<string, unknown> = Object.create(null)
  for (const [name, item] of entries) object[name] = item
  return object
}

function damaged(file: string, problem: string): CofferError {
  return new CofferError('config_error', `cannot read Docker's configuration ${file}: ${problem}`, {
    hint: 'Mend or remove it, or name another directory with DOCKER_CONFIG.',
  })
}
