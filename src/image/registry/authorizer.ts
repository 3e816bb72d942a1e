import { isCofferError } from '../../errors.ts'
import type { Challenge } from './challenge.ts'
import type { CredentialSource, Credentials } from './credentials.ts'
import type { Step } from './failure.ts'
import { mergeScopes } from './scopes.ts'
import { type AccessToken, basicAuthorization, fetchToken } from './token.ts'
import type { Transport } from './transport.ts'

/** Tokens are renewed this long before they end, as the request that carries one takes its time. */
const slackMs = 5_000

export type AuthorizerOptions = {
  readonly transport: Transport
  /** The registry as it stands in image names: what logins are for. */
  readonly registry: string
  readonly source: CredentialSource
}

/**
 * What one registry is told about who asks. Starts by telling nothing; what the registry's first refusal asks for is
 * then given with every request. Credentials are looked up when they are first needed, tokens are kept for each set of scopes.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions
  readonly #tokens = new Map<string, Promise<AccessToken>>()
  #challenge: Challenge | undefined
  #credentials: Promise<Credentials | undefined> | undefined
  #known: Credentials | undefined

  constructor(options: AuthorizerOptions) {
    this.#options = options
  }

  /** The credentials in use, for keeping them out of messages. */
  get credentials(): Credentials | undefined {
    return this.#known
  }

  /** The Authorization header for a request that needs `scopes`, as far as is known what the registry wants. */
  async authorization(
    step: Step,
    url: URL,
    scopes: readonly string[],
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    if (this.#challenge === undefined) return undefined
    try {
      return await this.#authorize(step, url, this.#challenge, scopes, signal)
    } catch (error) {
      // The next request asks the registry again what it wants.
      this.#challenge = undefined
      throw error
    }
  }

  /**
   * What to send after the registry refused a request that carried `refused`. Undefined when there is nothing else to offer.
   */
  async answer(
    step: Step,
    url: URL,
    challenges: readonly Challenge[],
    scopes: readonly string[],
    refused: string | undefined,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    // Where a registry takes both, a token is what gets no password around.
    const challenge =
      challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm')) ??
      challenges.find(({ scheme }) => scheme === 'basic')
    if (challenge === undefined) return undefined
    if (refused?.startsWith('Bearer ')) await this.#forgetToken(scopes, refused)
    const authorization = await this.#authorize(step, url, challenge, scopes, signal)
    // Remembered only now: a challenge that led to nothing must not stand in the way of a better one.
    this.#challenge = challenge
    return authorization === refused ? undefined : authorization
  }

  async #authorize(
    step: Step,
    url: URL,
    challenge: Challenge,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const credentials = await this.#lookUp(signal)
    if (credentials?.kind === 'bearer') return `Bearer ${credentials.token}`
    if (challenge.scheme === 'basic')
      return credentials?.kind === 'basic' ? basicAuthorization(credentials) : undefined
    const { token } = await this.#token(step, url, challenge, scopes, credentials, signal)
    return `Bearer ${token}`
  }

  async #lookUp(signal: AbortSignal | undefined): Promise<Credentials | undefined> {
    const others = this.#credentials
    const asked = others ?? this.#options.source(this.#options.registry, signal)
    this.#credentials = asked
    try {
      this.#known = await asked
    } catch (error) {
      if (this.#credentials === asked) this.#credentials = undefined
      if (others === undefined || signal?.aborted) throw error
      unlessGivenUp(error)
      return await this.#lookUp(signal)
    }
    return this.#known
  }

  async #token(
    step: Step,
    registryUrl: URL,
    challenge: Challenge,
    scopes: readonly string[],
    credentials: Credentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<AccessToken> {
    const key = scopes.join(' ')
    const kept = this.#tokens.get(key)
    if (kept !== undefined) {
      const token = await kept.catch(unlessGivenUp)
      if (token !== undefined && Date.now() < token.expiresAtMs - slackMs) return token
      if (this.#tokens.get(key) === kept) this.#tokens.delete(key)
      return await this.#token(step, registryUrl, challenge, scopes, credentials, signal)
    }
    const asked = fetchToken(this.#options.transport, step, {
      challenge,
      scopes: mergeScopes([...scopes, ...scopesOf(challenge)]),
      credentials,
      registryUrl,
      signal,
    })
    this.#tokens.set(key, asked)
    try {
      return await asked
    } catch (error) {
      if (this.#tokens.get(key) === asked) this.#tokens.delete(key)
      throw error
    }
  }

  /** Only the token that was refused: another request may have renewed it already. */
  async #forgetToken(scopes: readonly string[], refused: string): Promise<void> {
    const key = scopes.join(' ')
    const kept = this.#tokens.get(key)
    const token = await kept?.catch(() => undefined)
    if (token !== undefined && `Bearer ${token.token}` === refused && this.#tokens.get(key) === kept)
      this.#tokens.delete(key)
  }
}

/** What several wait for was asked for by one, who may have given up or run out of time: then the next one asks. */
function unlessGivenUp(error: unknown): undefined {
  if (!isCofferError(error, 'aborted') && !isCofferError(error, 'timeout')) throw error
}

/** A registry behind a proxy may know the repository by another name than the client: then its own scope is the right one. */
function scopesOf(challenge: Challenge): string[] {
  return (challenge.parameters.get('scope') ?? '').split(' ').filter(scope => scope.includes(':'))
}
