/** The closed list of error codes shared by library, CLI, REST and remote client. */
export const errorCodes = [
  'invalid_argument',
  'unsupported',
  'unauthenticated',
  'permission_denied',
  'not_found',
  'already_exists',
  'invalid_state',
  'stopped',
  'image_pull_failed',
  'execution_failed',
  'resource_exhausted',
  'network_unavailable',
  'upstream_unavailable',
  'engine_unavailable',
  'storage_error',
  'database_error',
  'config_error',
  'timeout',
  'aborted',
  'session_reaped',
  'internal',
] as const

export type ErrorCode = (typeof errorCodes)[number]

/** Plain data about a failure, safe to serialise: names, paths, numbers. Never secrets. */
export type ErrorDetails = { readonly [key: string]: unknown }

export type ErrorOptions = {
  /** What to do next, in one or two sentences. */
  readonly hint?: string | undefined
  readonly cause?: unknown
  readonly details?: ErrorDetails | undefined
}

// A symbol of the global registry: two copies of the package in one process recognise each other's errors,
// which `instanceof` would not.
const brand = Symbol.for('coffer.error')

/**
 * The one error class. `message` names the step and the thing (`cannot start box web: kernel image missing at …`),
 * `hint` says what to do next.
 */
export class CofferError extends Error {
  readonly [brand] = true
  override readonly name = 'CofferError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
  }

  toJSON(): { code: ErrorCode; message: string; hint?: string; details: ErrorDetails } {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      details: this.details,
    }
  }
}

/** Whether `value` is a Coffer error, of the given code if one is given. */
export function isCofferError(value: unknown, code?: ErrorCode): value is CofferError {
  return (
    typeof value === 'object' &&
    value !== null &&
    brand in value &&
    (code === undefined || Reflect.get(value, 'code') === code)
  )
}

/** The `code` of a Node system error (`ENOENT`, `EACCES` …), if it is one. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
