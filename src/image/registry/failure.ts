import {
  CofferError,
  type ErrorCode,
  type ErrorOptions,
  isCofferError,
  systemErrorCode,
} from '../../errors.ts'

/** What is being done, for messages: `cannot ${what}: ${host} …`. */
export type Step = {
  /** `pull ghcr.io/a/b:1` */
  readonly what: string
  /** The registry as it stands in image names. */
  readonly host: string
  /** The code for a refusal that has none of its own. */
  readonly code: ErrorCode
}

/** A failure that may pass: worth another try, not before `retryAfterMs` have passed if that is known, and `attempts` in all at most. */
export class TransientError extends CofferError {
  readonly retryAfterMs: number | undefined
  readonly attempts: number

  constructor(
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { retryAfterMs?: number | undefined; attempts?: number } = {},
  ) {
    super(code, message, options)
    this.retryAfterMs = options.retryAfterMs
    this.attempts = options.attempts ?? Number.POSITIVE_INFINITY
  }
}

export function stepError(
  step: Step,
  problem: string,
  options?: ErrorOptions & { code?: ErrorCode },
): CofferError {
  return new CofferError(options?.code ?? step.code, `cannot ${step.what}: ${problem}`, {
    ...options,
    details: { host: step.host, ...options?.details },
  })
}

export type Contact = {
  readonly signal?: AbortSignal | undefined
  /** `at` has never answered: what is not there now is most likely misspelt, switched off or cut off, and no wait helps. */
  readonly isFirst?: boolean
}

/** The error for what the network, TLS or the deadline did. Errors of Coffer pass through. */
export function networkError(
  step: Step,
  at: string,
  error: unknown,
  { signal, isFirst = false }: Contact,
): CofferError {
  if (error instanceof CofferError) return error
  if (signal?.aborted) return abortError(step, signal)
  const code = codeOf(error)
  const options = { cause: error, details: { host: step.host, at, reason: code } }
  const failed = (problem: string) => `cannot ${step.what}: ${problem}`
  if (timeoutCodes.has(code))
    return new TransientError('timeout', failed(`${at} did not answer in time`), options)
  if (isCertificateError(code))
    return new CofferError(
      'network_unavailable',
      failed(`the certificate of ${at} is not trusted (${code})`),
      {
        ...options,
        hint: `If a private authority signed it, name its certificate as caFile of ${at} in registries.json of the home.`,
      },
    )
  if (code === 'ENOTFOUND')
    return new CofferError('network_unavailable', failed(`there is no host ${at}`), {
      ...options,
      hint: 'Check the spelling of the name, and the network (coffer doctor).',
    })
  const message = error instanceof Error ? error.message : String(error)
  if (/Proxy response \(\d+\)|Proxy Authentication/.test(message))
    return new CofferError(
      'network_unavailable',
      failed(`the proxy refuses to connect to ${at} (${message})`),
      {
        ...options,
        hint: 'Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY.',
      },
    )
  if (code.startsWith('HPE_') || malformedCodes.has(code))
    return new TransientError(
      'upstream_unavailable',
      failed(`${at} answers with what is not HTTP (${code})`),
      options,
    )
  return new TransientError('network_unavailable', failed(`no connection to ${at} (${code || message})`), {
    ...options,
    ...(isFirst && isUnreachable(error) ? { attempts: 2 } : {}),
    hint: code.startsWith('ERR_SSL_')
      ? `If ${at} speaks http only, set its transport to http in registries.json of the home.`
      : 'Check the name and port, the network, and the proxy if there must be one.',
  })
}

/** No address of the host takes a connection, or what does speaks no TLS. */
function isUnreachable(error: unknown): boolean {
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [error]
  return errors.every(one => {
    const code = codeOf(one)
    return unreachableCodes.has(code) || code.startsWith('ERR_SSL_')
  })
}

function codeOf(error: unknown): string {
  const code = systemErrorCode(error) ?? ''
  // What undici makes of a wrong name in a certificate behind a proxy.
  return code === 'UND_ERR_PRX_TLS' && error instanceof Error ? (systemErrorCode(error.cause) ?? code) : code
}

const timeoutCodes = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])
const unreachableCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'EPROTO',
])
const malformedCodes = new Set(['UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_EXCEEDED_MAX_SIZE'])

/** The codes that OpenSSL's verification and Node's check of names give. */
export function isCertificateError(code: string): boolean {
  return /^(?:CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH|INVALID_PURPOSE)/.test(
    code,
  )
}

export function abortError(step: Step, signal: AbortSignal): CofferError {
  const { reason } = signal
  if (isCofferError(reason)) return reason
  if (reason instanceof Error && reason.name === 'TimeoutError')
    return new CofferError('timeout', `cannot ${step.what}: its time ran out`, { cause: reason })
  return new CofferError('aborted', `cannot ${step.what}: it was given up`, { cause: reason })
}

export type Refusal = {
  readonly status: number
  /** What the registry says, cleaned: see `refusalText`. */
  readonly text: string
  readonly retryAfter: string | undefined
  readonly authenticated: boolean
}

/** The error for a response that is no success. */
export function statusError(step: Step, at: string, refusal: Refusal): CofferError {
  const { status, text } = refusal
  const options = { details: { host: step.host, at, status, authenticated: refusal.authenticated } }
  const said = text === '' ? '' : `: ${text}`
  const failed = (problem: string) => `cannot ${step.what}: ${problem} (${status}${said})`
  const login = `coffer login ${step.host}`
  if (status === 401)
    return refusal.authenticated
      ? new CofferError('unauthenticated', failed(`${at} does not accept the credentials`), {
          ...options,
          hint: `There may be no such image, or the login may not see it. To log in as another user: ${login}`,
        })
      : new CofferError('unauthenticated', failed(`${at} wants credentials`), {
          ...options,
          hint: `The image may be private, or there is none of that name. To log in: ${login}`,
        })
  if (status === 403)
    return new CofferError('permission_denied', failed(`${at} does not allow it`), {
      ...options,
      hint: refusal.authenticated ? `To log in as another user: ${login}` : `To log in: ${login}`,
    })
  if (status === 404)
    return new CofferError('not_found', failed(`${at} does not have it`), {
      ...options,
      hint: 'Check the name and the tag.',
    })
  const retryAfterMs = parseRetryAfter(refusal.retryAfter, Date.now())
  if (status === 429)
    return new TransientError('upstream_unavailable', failed(`${at} says that these are too many requests`), {
      ...options,
      retryAfterMs,
      hint: `Try again later. Registries often allow more to those who log in: ${login}`,
    })
  if (status === 408 || status >= 500)
    return new TransientError('upstream_unavailable', failed(`${at} is not able to answer`), {
      ...options,
      retryAfterMs,
      hint: 'Try again later.',
    })
  return new CofferError(step.code, failed(`${at} refuses`), options)
}

/** Reads Retry-After: seconds or a date. Undefined if it is neither. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}
