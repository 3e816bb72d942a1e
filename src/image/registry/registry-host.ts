import { Readable } from 'node:stream'
import { systemErrorCode } from '../../errors.ts'
import { reachOfHost } from './addresses.ts'
import { Authorizer } from './authorizer.ts'
import { parseChallenges } from './challenge.ts'
import type { CredentialSource } from './credentials.ts'
import { isCertificateError, type Step, statusError, TransientError } from './failure.ts'
import { sendFollowing } from './redirects.ts'
import { refusalText } from './refusal.ts'
import type { HttpResponse } from './response.ts'
import { dockerHubHost, type HostSettings } from './settings.ts'
import type { Transport } from './transport.ts'

export type HostRequest = {
  /** `alpine/manifests/latest`, below `/v2/`; or the address the registry gave for the next part of an upload. */
  readonly path: string | URL
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT'
  /** What the token must allow: `repository:library/alpine:pull`. */
  readonly scopes: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  /** Called for each try: a stream can be sent once only. */
  readonly body?: () => Uint8Array | AsyncIterable<Uint8Array>
  readonly signal?: AbortSignal | undefined
  /** Statuses that are answers. Everything else is thrown as an error. */
  readonly expect: readonly number[]
}

export type HostOptions = {
  readonly transport: Transport
  /** As it stands in image names. */
  readonly name: string
  readonly settings: HostSettings
  readonly source: CredentialSource
}

/** One registry: its address, the scheme it is reached by and what it was told about who asks. */
export class RegistryHost {
  readonly name: string
  readonly #options: HostOptions
  readonly #authorizer: Authorizer
  #base: Promise<URL> | undefined

  constructor(options: HostOptions) {
    this.name = options.name
    this.#options = options
    const { transport, source } = options
    this.#authorizer = new Authorizer({ transport, registry: options.name, source })
  }

  /**
   * One try of a request. A refusal for want of credentials is answered once: with credentials, or with a new token in place of one that
   * ended. Throws as `statusError` and `networkError` do.
   */
  async request(step: Step, request: HostRequest): Promise<HttpResponse> {
    const base = await this.#baseUrl(step, request.signal)
    const url = new URL(request.path, base)
    // An upload may go on at another host, which is told nothing.
    const isOurs = url.origin === base.origin
    const { scopes, signal } = request
    let authorization = isOurs ? await this.#authorizer.authorization(step, base, scopes, signal) : undefined
    let response = await this.#send(step, request, { base, url }, authorization)
    if (response.status === 401 && isOurs && response.url.origin === base.origin) {
      const challenges = parseChallenges(response.headerValues('www-authenticate'))
      const answer = await this.#authorizer
        .answer(step, base, challenges, scopes, authorization, signal)
        .catch(error => {
          response.discard()
          throw error
        })
      if (answer !== undefined) {
        response.discard()
        authorization = answer
        response = await this.#send(step, request, { base, url }, authorization)
      }
    }
    if (request.expect.includes(response.status)) return response
    const { credentials } = this.#authorizer
    throw statusError(step, response.url.host, {
      status: response.status,
      text: await refusalText(response, credentials, authorization),
      retryAfter: response.header('retry-after'),
      authenticated: credentials !== undefined,
    })
  }

  async #send(
    step: Step,
    request: HostRequest,
    { base, url }: { readonly base: URL; readonly url: URL },
    authorization: string | undefined,
  ): Promise<HttpResponse> {
    const content = request.body?.()
    const body =
      content === undefined || content instanceof Uint8Array
        ? content
        : Readable.from(content, { objectMode: false })
    const { method = 'GET', headers = {}, signal } = request
    const { transport } = this.#options
    return await sendFollowing(transport, step, {
      url,
      // Where an upload goes on is the registry's word, like a redirect.
      ledBy: url.origin === base.origin ? undefined : transport.reachOf(base),
      method,
      headers,
      body,
      signal,
      authorization,
    })
  }

  async #baseUrl(step: Step, signal: AbortSignal | undefined): Promise<URL> {
    this.#base ??= this.#findBaseUrl(step, signal)
    const asked = this.#base
    try {
      return await asked
    } catch (error) {
      if (this.#base === asked) this.#base = undefined
      throw error
    }
  }

  async #findBaseUrl(step: Step, signal: AbortSignal | undefined): Promise<URL> {
    const host = this.name === 'docker.io' ? dockerHubHost : this.name
    const { transport: scheme, caFile, skipTlsVerification } = this.#options.settings
    const secure = new URL(`https://${host}/v2/`)
    if (scheme === 'https') return secure
    const insecure = new URL(`http://${host}/v2/`)
    if (scheme === 'http') return insecure
    const isForTls = caFile !== undefined || skipTlsVerification
    if (isForTls || reachOfHost(secure.hostname) !== 'loopback') return secure
    return (await this.#speaksTls(step, secure, signal)) ? secure : insecure
  }

  /** Whether a registry on this machine speaks TLS, with whatever certificate: Docker takes those without it as they are, too. */
  async #speaksTls(step: Step, url: URL, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      const response = await this.#options.transport.send(step, { url, method: 'HEAD', headers: {}, signal })
      response.discard()
      return true
    } catch (error) {
      const code = systemErrorCode(error instanceof Error ? error.cause : undefined) ?? ''
      if (isCertificateError(code)) return true
      if (!(error instanceof TransientError) || code === 'ECONNREFUSED') throw error
      return false
    }
  }
}
