import { CofferError, type ErrorCode } from '../errors.ts'
import { type Digest, isDigest } from './digest.ts'

/** What an image says about how it is run: the part of its configuration that boxes need. */
export type ImageConfig = {
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workdir: string | undefined
  /** `name|uid[:group|gid]` */
  readonly user: string | undefined
  readonly labels: Readonly<Record<string, string>>
  /** `SIGQUIT`, `3`: what asks its main process to end. */
  readonly stopSignal: string | undefined
  /** Directories that must be there. */
  readonly volumes: readonly string[]
  /** `80/tcp`. */
  readonly exposedPorts: readonly string[]
  readonly healthCheck: ImageHealthCheck | undefined
}

/** As the image has it: what it leaves out is Docker's default. */
export type ImageHealthCheck = {
  readonly command: readonly string[]
  readonly intervalMs: number | undefined
  readonly timeoutMs: number | undefined
  readonly startPeriodMs: number | undefined
  readonly retries: number | undefined
}

export type HistoryEntry = {
  readonly createdAt: string | undefined
  /** The step that made it. */
  readonly createdBy: string
  readonly comment: string
  /** It changed the configuration only. */
  readonly isEmptyLayer: boolean
}

/** An image's configuration, read and bounded. */
export type ParsedConfig = {
  readonly config: ImageConfig
  readonly os: string
  readonly architecture: string
  readonly variant: string | undefined
  /** As it stands there: ISO 8601, usually. */
  readonly createdAt: string | undefined
  readonly author: string | undefined
  /** Of the layers, uncompressed, lowest first. */
  readonly diffIds: readonly Digest[]
  readonly history: readonly HistoryEntry[]
}

/** Beyond what any real one has; Docker's registry refuses a manifest of half of it. */
export const maxConfigBytes = 8 << 20

const maxTextLength = 1 << 20
const maxItems = 16_384

/** Reads an OCI or Docker image configuration. Throws `image_pull_failed` for one that is malformed. */
export function parseImageConfig(bytes: Uint8Array, what = 'the image'): ParsedConfig {
  const read = new Reader(what)
  const root = read.json(bytes)
  const rootfs = read.object('rootfs', root['rootfs'])
  if (rootfs['type'] !== 'layers') throw read.error('its rootfs is not made of layers')
  return {
    config: configOf(read, read.object('config', root['config'])),
    os: read.text('os', root['os']) ?? '',
    architecture: read.text('architecture', root['architecture']) ?? '',
    variant: read.text('variant', root['variant']),
    createdAt: read.text('created', root['created']),
    author: read.text('author', root['author']),
    diffIds: read.texts('rootfs.diff_ids', rootfs['diff_ids']).map(text => diffIdOf(read, text)),
    history: read.list('history', root['history']).map(item => historyOf(read, item)),
  }
}

function configOf(read: Reader, config: Record<string, unknown>): ImageConfig {
  return {
    entrypoint: read.texts('Entrypoint', config['Entrypoint']),
    command: read.texts('Cmd', config['Cmd']),
    env: environmentOf(read.texts('Env', config['Env'])),
    workdir: directoryOf(read.text('WorkingDir', config['WorkingDir'])),
    user: read.text('User', config['User'])?.trim() || undefined,
    labels: read.record('Labels', config['Labels']),
    stopSignal: read.text('StopSignal', config['StopSignal']),
    volumes: read.keys('Volumes', config['Volumes']).filter(path => path.startsWith('/')),
    exposedPorts: read.keys('ExposedPorts', config['ExposedPorts']),
    healthCheck: healthCheckOf(read, config['Healthcheck']),
  }
}

/** A variable without a value takes one from nowhere, as in Docker. */
function environmentOf(entries: readonly string[]): Record<string, string> {
  const pairs = entries.map(entry => {
    const separator = entry.indexOf('=')
    return separator < 1 ? undefined : [entry.slice(0, separator), entry.slice(separator + 1)]
  })
  return Object.fromEntries(pairs.filter(pair => pair !== undefined))
}

/** Docker takes one that does not begin at the root for one that does. */
function directoryOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  return path.startsWith('/') ? path : `/${path}`
}

function healthCheckOf(read: Reader, value: unknown): ImageHealthCheck | undefined {
  if (value === undefined || value === null) return undefined
  const check = read.object('Healthcheck', value)
  const [kind, ...words] = read.texts('Healthcheck.Test', check['Test'])
  if (kind !== 'CMD' && kind !== 'CMD-SHELL') return undefined
  if (words.length === 0) throw read.error('its Healthcheck has no command')
  return {
    command: kind === 'CMD' ? words : ['/bin/sh', '-c', words.join(' ')],
    intervalMs: read.nanoseconds('Healthcheck.Interval', check['Interval']),
    timeoutMs: read.nanoseconds('Healthcheck.Timeout', check['Timeout']),
    startPeriodMs: read.nanoseconds('Healthcheck.StartPeriod', check['StartPeriod']),
    retries: read.count('Healthcheck.Retries', check['Retries']),
  }
}

function historyOf(read: Reader, item: unknown): HistoryEntry {
  const entry = read.object('history', item)
  return {
    createdAt: read.text('history.created', entry['created']),
    createdBy: read.text('history.created_by', entry['created_by']) ?? '',
    comment: read.text('history.comment', entry['comment']) ?? '',
    isEmptyLayer: entry['empty_layer'] === true,
  }
}

function diffIdOf(read: Reader, text: string): Digest {
  if (isDigest(text)) return text
  throw read.error('one of its diff_ids is no digest')
}

/** Go writes `null` for what is empty, so everything may be left out in both ways. */
class Reader {
  readonly #what: string

  constructor(what: string) {
    this.#what = what
  }

  error(problem: string, code: ErrorCode = 'image_pull_failed'): CofferError {
    return new CofferError(code, `the configuration of ${this.#what} is not usable: ${problem}`)
  }

  json(bytes: Uint8Array): Record<string, unknown> {
    if (bytes.length > maxConfigBytes) throw this.error(`it has more than ${maxConfigBytes} bytes`)
    let value: unknown
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    } catch {
      throw this.error('it is no JSON')
    }
    return this.object('it', value)
  }

  object(field: string, value: unknown): Record<string, unknown> {
    if (value === undefined || value === null) return {}
    if (typeof value !== 'object' || Array.isArray(value)) throw this.error(`${field} is no object`)
    return value as Record<string, unknown>
  }

  list(field: string, value: unknown): unknown[] {
    if (value === undefined || value === null) return []
    if (!Array.isArray(value)) throw this.error(`${field} is no list`)
    if (value.length > maxItems) throw this.error(`${field} has more than ${maxItems} items`)
    return value
  }

  /** Undefined for what is absent or empty. */
  text(field: string, value: unknown): string | undefined {
    if (value === undefined || value === null || value === '') return undefined
    return this.#checked(field, value)
  }

  texts(field: string, value: unknown): string[] {
    return this.list(field, value).map(item => this.#checked(field, item))
  }

  record(field: string, value: unknown): Record<string, string> {
    const entries = Object.entries(this.object(field, value))
    if (entries.length > maxItems) throw this.error(`${field} has more than ${maxItems} items`)
    return Object.fromEntries(
      entries.map(([key, item]) => [this.#checked(field, key), this.#checked(field, item)]),
    )
  }

  keys(field: string, value: unknown): string[] {
    return Object.keys(this.object(field, value)).map(key => this.#checked(field, key))
  }

  /** In milliseconds; zero means the default. */
  nanoseconds(field: string, value: unknown): number | undefined {
    const count = this.count(field, value)
    return count === undefined ? undefined : Math.max(1, Math.round(count / 1_000_000))
  }

  count(field: string, value: unknown): number | undefined {
    if (value === undefined || value === null || value === 0) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value
    throw this.error(`${field} is no whole number`)
  }

  #checked(field: string, value: unknown): string {
    if (typeof value !== 'string') throw this.error(`${field} is no text`)
    if (value.length > maxTextLength) throw this.error(`${field} has more than ${maxTextLength} characters`)
    if (value.includes('\0')) throw this.error(`${field} holds a NUL character`)
    return value
  }
}

/** What is kept of a configuration beside the blob, in the column `manifest.config`. */
export type KeptConfig = { readonly config: ImageConfig; readonly createdAt: string | undefined }

export function encodeImage({ config, createdAt }: KeptConfig): string {
  return JSON.stringify({ config, createdAt })
}

export function decodeImage(json: string): KeptConfig {
  const { config, createdAt } = JSON.parse(json) as KeptConfig
  // JSON has no undefined.
  const absent = { workdir: undefined, user: undefined, stopSignal: undefined, healthCheck: undefined }
  const check = { intervalMs: undefined, timeoutMs: undefined, startPeriodMs: undefined, retries: undefined }
  const healthCheck = config.healthCheck && { ...check, ...config.healthCheck }
  return { config: { ...absent, ...config, healthCheck }, createdAt }
}
