import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import type { Dispatcher } from 'undici'
import { type CofferError, systemErrorCode } from '../../errors.ts'
import { packageVersion } from '../../version.ts'
import { type AddressReach, reachOfAddress, reachOfHost } from './addresses.ts'
import { networkError, type Step, stepError } from './failure.ts'
import { checkReach, guardedLookup, InwardError } from './guarded-lookup.ts'
import { proxyFor } from './proxy.ts'
import { HttpResponse } from './response.ts'
import { type HostSettings, type RegistrySettings, settingsOfUrl } from './settings.ts'

export type Timeouts = {
  readonly connectMs: number
  /** From the request to the first byte of the answer. */
  readonly headersMs: number
  /** Between two pieces of a body that is being read. */
  readonly stallMs: number
  /** For what a refusal says, however slowly it drips. */
  readonly refusalMs: number
}

export const defaultTimeouts: Timeouts = {
  connectMs: 10_000,
  headersMs: 30_000,
  stallMs: 30_000,
  refusalMs: 5000,
}

export type HttpRequest = {
  readonly url: URL
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | Readable | undefined
  readonly signal?: AbortSignal | undefined
  /** The reach of who named this URL, if that was a server: it may not lead to addresses that only this machine reaches. */
  readonly ledBy?: AddressReach | undefined
}

// Loaded when the first registry is talked to: it takes longer than all of the command line's own start.
let loading: Promise<typeof import('undici')> | undefined
const loadUndici = () => (loading ??= import('undici'))

/** One HTTP exchange after the other: connections, TLS and proxies as they are set. No redirects, no retries, no credentials. */
export class Transport implements AsyncDisposable {
  readonly #settings: RegistrySettings
  readonly #timeouts: Timeouts
  readonly #environment: NodeJS.ProcessEnv
  readonly #dispatchers = new Map<string, Dispatcher>()
  readonly #secureContexts = new Map<string, SecureContext>()
  readonly #reaches = new Map<string, AddressReach>()
  /** Origins that have answered. */
  readonly #answered = new Set<string>()
  #isDisposed = false

  constructor(
    settings: RegistrySettings,
    timeouts: Timeouts = defaultTimeouts,
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    this.#settings = settings
    this.#timeouts = timeouts
    this.#environment = environment
  }

  async send(step: Step, request: HttpRequest): Promise<HttpResponse> {
    const { url, signal } = request
    try {
      refuseInward(request)
      const dispatcher = await this.#dispatcherFor(step, request)
      const response = await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: { 'user-agent': `coffer/${packageVersion()}`, ...request.headers },
        body: request.body ?? null,
        signal: signal ?? null,
        headersTimeout: this.#timeouts.headersMs,
        bodyTimeout: this.#timeouts.stallMs,
        // Undici would close the connection after each HEAD, and every pull begins with one or two.
        reset: false,
      })
      this.#answered.add(url.origin)
      return new HttpResponse(step, url, response, { signal, refusalMs: this.#timeouts.refusalMs })
    } catch (error) {
      if (request.body instanceof Readable) request.body.destroy()
      throw error instanceof InwardError
        ? inwardError(step, error)
        : networkError(step, url.host, error, { signal, isFirst: !this.#answered.has(url.origin) })
    }
  }

  /** How far the address that answered for this origin reaches; of an origin behind a proxy, what its name tells. */
  reachOf(url: URL): AddressReach {
    return this.#reaches.get(url.origin) ?? reachOfHost(url.hostname) ?? 'public'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    const dispatchers = [...this.#dispatchers.values()]
    this.#dispatchers.clear()
    await Promise.all(dispatchers.map(dispatcher => dispatcher.destroy()))
  }

  async #dispatcherFor(step: Step, { url, ledBy }: HttpRequest): Promise<Dispatcher> {
    const proxy = proxyFor(url, this.#environment)
    const settings = settingsOfUrl(this.#settings, url)
    const secure = url.protocol === 'https:'
    const key = JSON.stringify([proxy?.href, secure, secure && settings, ledBy])
    const found = this.#dispatchers.get(key)
    if (found !== undefined) return found
    const { Agent, ProxyAgent, buildConnector } = await loadUndici()
    if (this.#isDisposed) throw stepError(step, 'the client of registries was closed', { code: 'stopped' })
    const tls = secure ? this.#tlsOptions(step, url.host, settings) : {}
    const timeout = this.#timeouts.connectMs
    const dispatcher = proxy
      ? new ProxyAgent({
          uri: proxy.href,
          // Only https needs a tunnel; plain requests are what proxies answer from their caches.
          proxyTunnel: secure,
          requestTls: { ...tls, timeout },
          proxyTls: { timeout },
        })
      : new Agent({
          connect: this.#recording(
            buildConnector({ ...tls, timeout, ...(ledBy && { lookup: guardedLookup(ledBy) }) }),
          ),
        })
    // Somebody else may have made one while undici was loaded.
    const other = this.#dispatchers.get(key)
    if (other !== undefined) {
      await dispatcher.destroy()
      return other
    }
    this.#dispatchers.set(key, dispatcher)
    return dispatcher
  }

  #recording(connect: Connector): Connector {
    return (options, callback) =>
      connect(options, (...outcome) => {
        const [, socket] = outcome
        const reach = socket?.remoteAddress === undefined ? undefined : reachOfAddress(socket.remoteAddress)
        const protocol = options.protocol
        if (reach !== undefined) this.#reaches.set(new URL(`${protocol}//${options.host}`).origin, reach)
        callback(...outcome)
      })
  }

  #tlsOptions(step: Step, host: string, settings: HostSettings): TlsOptions {
    const { caFile, skipTlsVerification } = settings
    const key = caFile ?? ''
    let secureContext = this.#secureContexts.get(key)
    if (secureContext === undefined) {
      // One context for all connections: reading hundreds of authorities takes milliseconds.
      secureContext = createSecureContext({ ca: authorities(step, host, caFile) })
      this.#secureContexts.set(key, secureContext)
    }
    return { secureContext, rejectUnauthorized: !skipTlsVerification }
  }
}

type Connector = import('undici').buildConnector.connector
type TlsOptions = { secureContext: SecureContext; rejectUnauthorized: boolean }

/** Names are checked when they are resolved; an address, and `localhost`, is never resolved. */
function refuseInward({ url, ledBy }: HttpRequest): void {
  const reach = reachOfHost(url.hostname)
  if (ledBy !== undefined && reach !== undefined) checkReach(url.hostname, ledBy, [reach])
}

function inwardError(step: Step, error: InwardError): CofferError {
  return stepError(step, `${step.host} leads to ${error.message}`, {
    code: 'permission_denied',
    cause: error,
    hint: 'A registry on the internet may not send its clients into the network behind them.',
    details: { redirectedTo: error.hostname },
  })
}

/** Node brings its own list; what the administrator added to the system's counts as well, as for Docker. */
function authorities(step: Step, host: string, caFile: string | undefined): string[] {
  const trusted = [...getCACertificates('default'), ...getCACertificates('system')]
  return [...new Set([...trusted, ...(caFile === undefined ? [] : [readAuthorities(step, host, caFile)])])]
}

function readAuthorities(step: Step, host: string, caFile: string): string {
  let text: string
  try {
    text = readFileSync(caFile, 'utf8')
  } catch (error) {
    throw caError(step, host, caFile, systemErrorCode(error) ?? 'it cannot be read', error)
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw caError(step, host, caFile, 'it holds no PEM certificate')
  return text
}

function caError(step: Step, host: string, caFile: string, problem: string, cause?: unknown): CofferError {
  return stepError(step, `the caFile of ${host}, ${caFile}, is not usable: ${problem}`, {
    code: 'config_error',
    cause,
  })
}
