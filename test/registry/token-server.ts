import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { text } from 'node:stream/consumers'
import { type CertificateFiles, makeSelfSigned } from './certificate.ts'
import { listen } from './listen.ts'
import { registryPassword, registryUsername } from './registry.ts'

/**
 * A token server of the distribution specification: GET with basic credentials, or POST with a refresh token or a
 * password (OAuth2). Anybody may pull from `public/…`; everything else wants the user of the registry fixture.
 */
export type TokenServer = AsyncDisposable & {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly realm: string
  readonly service: string
  readonly issuer: string
  readonly certificateFile: string
  /** A refresh token this server takes, as `docker login` would have kept it. */
  readonly identityToken: string
  /** Every request seen, oldest first. */
  readonly requests: TokenRequest[]
  /** Seconds for which the next tokens are valid. */
  lifetimeSeconds: number
}

export type TokenRequest = {
  readonly method: string
  readonly authorization: string | undefined
  readonly parameters: URLSearchParams
}

type Access = { readonly type: string; readonly name: string; readonly actions: readonly string[] }

const service = 'coffer test registry'
const issuer = 'coffer test tokens'

/** With `tls` it is reached by https: then `realm` is. */
export async function startTokenServer(directory: string, tls?: CertificateFiles): Promise<TokenServer> {
  const { certificateFile, keyFile } = await makeSelfSigned(directory, 'tokens')
  const key = createPrivateKey(readFileSync(keyFile))
  const x5c = [new X509Certificate(readFileSync(certificateFile)).raw.toString('base64')]
  const identityToken = randomUUID()
  const requests: TokenRequest[] = []
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch(error => response.destroy(error))
  }
  const server =
    tls === undefined
      ? createServer(listener)
      : createSecureServer(
          { cert: readFileSync(tls.certificateFile), key: readFileSync(tls.keyFile) },
          listener,
        )
  const listening = await listen(server)
  const self: TokenServer = {
    host: listening.host,
    realm: `${tls === undefined ? 'http' : 'https'}://${listening.host}/token`,
    service,
    issuer,
    certificateFile,
    identityToken,
    requests,
    lifetimeSeconds: 300,
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  }
  return self

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', self.realm)
    const parameters = request.method === 'POST' ? new URLSearchParams(await text(request)) : url.searchParams
    const { authorization } = request.headers
    requests.push({ method: request.method ?? '', authorization, parameters })
    const user = authenticated(authorization, parameters)
    if (user === 'refused') {
      response.writeHead(401, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'incorrect credentials' }] }))
      return
    }
    const access = parameters
      .getAll('scope')
      .flatMap(scopes => scopes.split(' '))
      .flatMap(scope => granted(scope, user))
    const token = issue(access, user)
    response.writeHead(200, { 'content-type': 'application/json' })
    const name = request.method === 'POST' ? 'access_token' : 'token'
    response.end(JSON.stringify({ [name]: token, expires_in: self.lifetimeSeconds }))
  }

  function authenticated(authorization: string | undefined, parameters: URLSearchParams): string | 'refused' {
    const basic = `Basic ${Buffer.from(`${registryUsername}:${registryPassword}`).toString('base64')}`
    if (authorization !== undefined) return authorization === basic ? registryUsername : 'refused'
    const grant = parameters.get('grant_type')
    if (grant === null) return ''
    const valid =
      (grant === 'refresh_token' && parameters.get('refresh_token') === identityToken) ||
      (grant === 'password' &&
        parameters.get('username') === registryUsername &&
        parameters.get('password') === registryPassword)
    return valid ? registryUsername : 'refused'
  }

  function issue(access: readonly Access[], subject: string): string {
    const seconds = Math.floor(Date.now() / 1000)
    const claims = {
      iss: issuer,
      sub: subject,
      aud: service,
      // The registry allows a minute of difference between clocks: a lifetime of less than that still works.
      exp: seconds + self.lifetimeSeconds,
      nbf: seconds - 10,
      iat: seconds,
      jti: randomUUID(),
      access,
    }
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${part({ typ: 'JWT', alg: 'ES256', x5c })}.${part(claims)}`
    const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }
}

/** What of `repository:NAME:ACTION,ACTION` the user may do. */
function granted(scope: string, user: string): Access[] {
  const [, type, name, list] = /^(\w+):(.+):([\w,*]*)$/.exec(scope) ?? []
  if (type === undefined || name === undefined || list === undefined) return []
  const actions = list
    .split(',')
    .filter(action => user !== '' || (name.startsWith('public/') && action === 'pull'))
  return [{ type, name, actions }]
}
