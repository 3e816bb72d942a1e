import type { Credentials } from './credentials.ts'
import type { HttpResponse } from './response.ts'

const maxBodyBytes = 16 << 10
const maxTextLength = 300

/**
 * What a registry says about its refusal, for a message: the first error of the distribution specification, on one line, without
 * control characters, and without the credentials if it repeats them. Reads, or discards, the body.
 */
export async function refusalText(
  response: HttpResponse,
  credentials?: Credentials,
  authorization?: string,
): Promise<string> {
  const body = await response.beginning(maxBodyBytes)
  const text = firstError(body)
  const secrets = [
    ...secretsOf(credentials),
    ...(authorization === undefined ? [] : authorizationSecrets(authorization)),
  ]
  const safe = secrets
    .filter(secret => secret.length > 0)
    .reduce((remaining, secret) => remaining.replaceAll(secret, '***'), text)
  // Control characters, line ends and changes of direction must not reach a terminal.
  const line = safe.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  return line.length > maxTextLength ? `${line.slice(0, maxTextLength)}…` : line
}

function firstError(body: string): string {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return ''
  }
  const errors: unknown = Reflect.get(Object(value), 'errors')
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  const part = (name: string) => {
    const item: unknown = Reflect.get(Object(first), name)
    return typeof item === 'string' ? item : ''
  }
  const detail: unknown =
    Reflect.get(Object(value), 'details') ?? Reflect.get(Object(value), 'error_description')
  if (first === undefined) return typeof detail === 'string' ? detail : ''
  return [part('code'), part('message')].filter(text => text !== '').join(': ')
}

function secretsOf(credentials: Credentials | undefined): string[] {
  if (credentials === undefined) return []
  if (credentials.kind !== 'basic') return [credentials.token]
  const { username, password } = credentials
  return [Buffer.from(`${username}:${password}`).toString('base64'), password]
}

function authorizationSecrets(authorization: string): string[] {
  return [authorization.slice(authorization.indexOf(' ') + 1)]
}
