import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { CofferError, type ErrorCode, systemErrorCode } from '../../errors.ts'
import { isRegistryHost } from '../reference.ts'

/** How registries are reached. Given as JSON in `registries.json` of the home, or as an option of the library, in this shape. */
export type RegistryOptions = {
  /** Hosts where a name without a registry is looked for, before Docker Hub. */
  readonly search?: readonly string[]
  /** By `host` or `host:port`, as it stands in image names. */
  readonly registries?: Readonly<Record<string, RegistryHostOptions>>
}

export type RegistryHostOptions = {
  /** Default `https`; for this machine (`localhost`, `127.0.0.0/8`, `::1`) `https` if it is spoken there, else `http`. */
  readonly transport?: 'https' | 'http'
  /** A file of PEM certificates that are trusted for this host beside the system's. An absolute path. */
  readonly caFile?: string
  /** Accept any certificate: whoever is between here and the registry can read the credentials. */
  readonly dangerouslySkipTlsVerification?: boolean
  /** `host[:port][/path]`, asked before the registry itself, in this order. */
  readonly mirrors?: readonly string[]
}

export type RegistrySettings = {
  readonly search: readonly string[]
  readonly registries: ReadonlyMap<string, HostSettings>
}

export type HostSettings = {
  readonly transport: 'https' | 'http' | undefined
  readonly caFile: string | undefined
  readonly skipTlsVerification: boolean
  readonly mirrors: readonly Mirror[]
}

/** A mirror has the repository at `prefix/repository`, or under its own name if `prefix` is empty. */
export type Mirror = { readonly host: string; readonly prefix: string }

const plain: HostSettings = {
  transport: undefined,
  caFile: undefined,
  skipTlsVerification: false,
  mirrors: [],
}
const maxFileBytes = 1 << 20

export function registriesFile(homePath: string): string {
  return join(homePath, 'registries.json')
}

/**
 * The settings of a home, with those of `options` in place of what the file says about the same thing.
 * Throws `config_error` for the file and `invalid_argument` for the options: what is not understood is never ignored.
 */
export function loadRegistrySettings(homePath: string, options?: RegistryOptions): RegistrySettings {
  const file = registriesFile(homePath)
  const stored = parseRegistrySettings(readSettings(file), file, 'config_error')
  if (options === undefined) return stored
  const given = parseRegistrySettings(options, 'registries', 'invalid_argument')
  return {
    search: options.search === undefined ? stored.search : given.search,
    registries: new Map([...stored.registries, ...given.registries]),
  }
}

/** `source` is what messages call it. */
export function parseRegistrySettings(value: unknown, source: string, code: ErrorCode): RegistrySettings {
  const read = new SettingsReader(source, code)
  const root = read.object('', value, ['search', 'registries'])
  const search = read.list('search', root['search']).map((item, index) => read.host(`search[${index}]`, item))
  const registries = new Map<string, HostSettings>()
  for (const [name, item] of Object.entries(read.object('registries', root['registries'])))
    registries.set(read.host('registries', name), hostSettingsOf(read, `registries["${name}"]`, item))
  return { search, registries }
}

/** What is set for a host, or what holds for every other. */
export function settingsOf(settings: RegistrySettings, host: string): HostSettings {
  return settings.registries.get(host.toLowerCase()) ?? plain
}

/** The settings for a connection: a URL leaves out the usual port, and Docker Hub answers at a host of another name. */
export function settingsOfUrl(settings: RegistrySettings, url: URL): HostSettings {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  const names = [url.host, `${url.hostname}:${port}`]
  if (url.host === dockerHubHost) names.push('docker.io')
  const name = names.find(candidate => settings.registries.has(candidate))
  return name === undefined ? plain : settingsOf(settings, name)
}

/** Where `docker.io` is. */
export const dockerHubHost = 'registry-1.docker.io'

function hostSettingsOf(read: SettingsReader, field: string, value: unknown): HostSettings {
  const known = ['transport', 'caFile', 'dangerouslySkipTlsVerification', 'mirrors']
  const item = read.object(field, value, known)
  const transport = item['transport']
  if (transport !== undefined && transport !== 'https' && transport !== 'http')
    throw read.error(`${field}.transport`, 'is neither "https" nor "http"')
  const caFile = item['caFile']
  if (caFile !== undefined && (typeof caFile !== 'string' || !isAbsolute(caFile) || caFile.includes('\0')))
    throw read.error(`${field}.caFile`, 'is no absolute path')
  const skip = item['dangerouslySkipTlsVerification'] ?? false
  if (typeof skip !== 'boolean')
    throw read.error(`${field}.dangerouslySkipTlsVerification`, 'is neither true nor false')
  if (transport === 'http' && (skip || caFile !== undefined))
    throw read.error(field, 'has settings for certificates, but its transport is http, which has none')
  const mirrors = read
    .list(`${field}.mirrors`, item['mirrors'])
    .map((mirror, index) => mirrorOf(read, `${field}.mirrors[${index}]`, mirror))
  return { transport, caFile, skipTlsVerification: skip, mirrors }
}

function mirrorOf(read: SettingsReader, field: string, value: unknown): Mirror {
  const text = typeof value === 'string' ? value : ''
  const slash = text.indexOf('/')
  if (slash === -1) return { host: read.host(field, value), prefix: '' }
  const host = read.host(field, text.includes('://') ? text : text.slice(0, slash))
  const prefix = text.slice(slash + 1).replace(/\/$/, '')
  if (!/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/.test(prefix))
    throw read.error(field, 'has a path that no repository could begin with')
  return { host, prefix }
}

function readSettings(file: string): unknown {
  try {
    if (statSync(file).size > maxFileBytes)
      throw new CofferError('config_error', `cannot read ${file}: it has more than ${maxFileBytes} bytes`)
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return {}
    if (error instanceof CofferError) throw error
    const reason =
      error instanceof SyntaxError ? 'it is not valid JSON' : String(systemErrorCode(error) ?? error)
    throw new CofferError('config_error', `cannot read ${file}: ${reason}`, { cause: error })
  }
}

class SettingsReader {
  readonly #source: string
  readonly #code: ErrorCode

  constructor(source: string, code: ErrorCode) {
    this.#source = source
    this.#code = code
  }

  error(field: string, problem: string, hint?: string): CofferError {
    return new CofferError(this.#code, `${this.#source}: ${field || 'it'} ${problem}`, {
      hint,
      details: { field },
    })
  }

  object(field: string, value: unknown = {}, known?: readonly string[]): Record<string, unknown> {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.error(field, 'is no object')
    for (const key of Object.keys(value))
      if (known !== undefined && !known.includes(key))
        throw this.error(
          field === '' ? key : `${field}.${key}`,
          'is not known',
          `Known are: ${known.join(', ')}.`,
        )
    return Object.fromEntries(Object.entries(value))
  }

  list(field: string, value: unknown = []): unknown[] {
    if (!Array.isArray(value)) throw this.error(field, 'is no list')
    return value
  }

  host(field: string, value: unknown): string {
    if (typeof value === 'string' && isRegistryHost(value)) {
      const host = value.toLowerCase()
      return ['index.docker.io', dockerHubHost].includes(host) ? 'docker.io' : host
    }
    const shown = JSON.stringify(value)?.slice(0, 80)
    throw this.error(
      field,
      `names ${shown}, which is no host[:port]`,
      'Leave out the scheme and the path: registry.example.com:5000.',
    )
  }
}
