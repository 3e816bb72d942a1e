import type { Challenge } from './challenge.ts'
import type { Credentials } from './credentials.ts'
import { type Step, statusError, stepError } from './failure.ts'
import { refusalText } from './refusal.ts'
import type { HttpResponse } from './response.ts'
import type { Transport } from './transport.ts'

export type AccessToken = { readonly token: string; readonly expiresAtMs: number }

export type TokenRequest = {
  readonly challenge: Challenge
  readonly scopes: readonly string[]
  readonly credentials: Credentials | undefined
  /** The registry that gave the challenge. */
  readonly registryUrl: URL
  readonly signal?: AbortSignal | undefined
}

const maxAnswerBytes = 1 << 20
const deadlineMs = 60_000
/** What the specification gives a token that does not say how long it is valid. */
const defaultLifetimeSeconds = 60
const clientId = 'coffer'

/**
 * Gets an access token from the realm of a challenge: by GET with basic credentials, or by POST (OAuth2) with an identity token.
 * The realm may be at any host, as Docker Hub's is, and gets the registry's credentials; so it must be https, unless the registry
 * itself is reached by http.
 * Throws `unauthenticated` when the credentials are refused.
 */
export async function fetchToken(
  transport: Transport,
  step: Step,
  request: TokenRequest,
): Promise<AccessToken> {
  const realm = realmOf(step, request)
  const { credentials, challenge, scopes, registryUrl } = request
  const deadline = AbortSignal.timeout(deadlineMs)
  const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline])
  const service = challenge.parameters.get('service')
  const common = { signal, ledBy: transport.reachOf(registryUrl) }
  const response =
    credentials?.kind === 'identityToken'
      ? await transport.send(step, {
          ...common,
          method: 'POST',
          url: realm,
          headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
          body: Buffer.from(refreshForm(service, scopes, credentials.token)),
        })
      : await transport.send(step, {
          ...common,
          method: 'GET',
          url: withQuery(realm, service, scopes, credentials),
          headers: {
            accept: 'application/json',
            ...(credentials?.kind === 'basic' && { authorization: basicAuthorization(credentials) }),
          },
        })
  return await readToken(step, response, credentials)
}

export function basicAuthorization({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function realmOf(step: Step, { challenge, registryUrl }: TokenRequest): URL {
  const realm = URL.parse(challenge.parameters.get('realm') ?? '')
  if (realm === null || !/^https?:$/.test(realm.protocol))
    throw stepError(step, `${registryUrl.host} names no address to get tokens from`)
  if (realm.protocol === 'http:' && registryUrl.protocol !== 'http:')
    throw stepError(step, `${registryUrl.host} wants tokens to be got over http, from ${realm.host}`, {
      code: 'permission_denied',
      hint: 'Credentials for a registry that is reached by https are only sent by https.',
    })
  realm.username = ''
  realm.password = ''
  realm.hash = ''
  return realm
}

function withQuery(
  realm: URL,
  service: string | undefined,
  scopes: readonly string[],
  credentials: Credentials | undefined,
): URL {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credentials?.kind === 'basic') url.searchParams.set('account', credentials.username)
  return url
}

function refreshForm(service: string | undefined, scopes: readonly string[], refreshToken: string): string {
  return new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: refreshToken,
    ...(service !== undefined && { service }),
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
  }).toString()
}

async function readToken(
  step: Step,
  response: HttpResponse,
  credentials: Credentials | undefined,
): Promise<AccessToken> {
  const at = response.url.host
  if (response.status !== 200) {
    const refusal = {
      // Token servers refuse a wrong identity token as OAuth2 wants it, with 400.
      status: response.status === 400 && credentials !== undefined ? 401 : response.status,
      text: await refusalText(response, credentials),
      retryAfter: response.header('retry-after'),
      authenticated: credentials !== undefined,
    }
    throw statusError(step, at, refusal)
  }
  const receivedAtMs = Date.now()
  const answer = parseAnswer(await response.bytes(maxAnswerBytes))
  if (answer === undefined) throw stepError(step, `${at} answers with what is no token`)
  return { token: answer.token, expiresAtMs: receivedAtMs + answer.lifetimeSeconds * 1000 }
}

function parseAnswer(bytes: Buffer): { token: string; lifetimeSeconds: number } | undefined {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const token = Reflect.get(value, 'token') || Reflect.get(value, 'access_token')
  // It becomes a header: nothing may be in it that would end one.
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,65536}$/.test(token)) return undefined
  const lifetime: unknown = Reflect.get(value, 'expires_in')
  const isLifetime = typeof lifetime === 'number' && lifetime > 0 && lifetime < 1e9
  return { token, lifetimeSeconds: isLifetime ? lifetime : defaultLifetimeSeconds }
}
