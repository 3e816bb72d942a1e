import { CborError, type CborMap, type CborValue, decodeCbor } from './cbor.ts'
import { ProtocolError } from './frame.ts'
import type {
  Configured,
  Exited,
  Failure,
  FailureKind,
  Hello,
  PortProbed,
  Started,
  Thawed,
} from './messages.ts'
import { failureKinds, protocolVersion } from './protocol.ts'

/**
 * The edge where payloads become typed messages. Everything here comes from the other side of a boundary: each field is
 * checked and bounded, unknown fields are ignored, anything else is a `ProtocolError`.
 */

const maxTextLength = 4096
const maxItems = 256

/** Throws `ProtocolError` also when the other side speaks another version. */
export function parseHello(payload: Uint8Array): Hello {
  const map = parseMap(payload)
  const protocol = integer(map, 'protocol', 0, 0xffff)
  if (protocol !== protocolVersion)
    throw new ProtocolError(`the other side speaks protocol ${protocol}, this one ${protocolVersion}`)
  const kernel = optionalText(map, 'kernel')
  return {
    protocol,
    build: text(map, 'build'),
    features: textList(map, 'features'),
    ...(kernel === undefined ? {} : { kernel }),
  }
}

export function parseConfigured(payload: Uint8Array): Configured {
  const map = parseMap(payload)
  return {
    mountedUs: integer(map, 'mountedUs', 0, maxInteger),
    readyUs: integer(map, 'readyUs', 0, maxInteger),
  }
}

export function parseStarted(payload: Uint8Array): Started {
  return { pid: integer(parseMap(payload), 'pid', 1, 0x7fffffff) }
}

export function parseExited(payload: Uint8Array): Exited {
  return parseExitedMap(parseMap(payload))
}

export function parseExitedMap(map: CborMap): Exited {
  return {
    code: integer(map, 'code', -64, 255),
    timedOut: boolean(map, 'timedOut'),
    outOfMemory: boolean(map, 'outOfMemory'),
    durationMs: integer(map, 'durationMs', 0, maxInteger),
  }
}

export function parseFailure(payload: Uint8Array): Failure {
  const map = parseMap(payload)
  return {
    kind: failureKind(text(map, 'kind')),
    stage: text(map, 'stage'),
    errno: integer(map, 'errno', 0, 4095),
    message: text(map, 'message'),
  }
}

/** The answer to `thaw`. */
export function parseThawed(map: CborMap): Thawed {
  return { held: boolean(map, 'held') }
}

/** The answer to `probePort`. */
export function parsePortProbed(map: CborMap): PortProbed {
  return { open: boolean(map, 'open') }
}

export function parseCredit(payload: Buffer): number {
  if (payload.length !== 4) throw new ProtocolError(`a credit of ${payload.length} bytes`)
  return payload.readUInt32LE(0)
}

export function parseMap(payload: Uint8Array): CborMap {
  let value: CborValue
  try {
    value = decodeCbor(payload)
  } catch (error) {
    if (error instanceof CborError)
      throw new ProtocolError(`a malformed payload: ${error.message}`, { cause: error })
    throw error
  }
  if (!isMap(value)) throw new ProtocolError('a payload that is not a map')
  return value
}

export function isMap(value: CborValue | undefined): value is CborMap {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}

export function text(map: CborMap, key: string): string {
  const value = optionalText(map, key)
  if (value === undefined) throw new ProtocolError(`${key} is missing`)
  return value
}

export function optionalText(map: CborMap, key: string): string | undefined {
  const value = map[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string' || value.length > maxTextLength)
    throw new ProtocolError(`${key} is no text of bounded length`)
  return value
}

export function integer(map: CborMap, key: string, least: number, most: number): number {
  const value = map[key]
  if (typeof value !== 'number' || value < least || value > most)
    throw new ProtocolError(`${key} is no integer from ${least} to ${most}`)
  return value
}

export function boolean(map: CborMap, key: string): boolean {
  const value = map[key]
  if (typeof value !== 'boolean') throw new ProtocolError(`${key} is neither true nor false`)
  return value
}

const maxInteger = Number.MAX_SAFE_INTEGER

function textList(map: CborMap, key: string): string[] {
  const value = map[key]
  if (!Array.isArray(value) || value.length > maxItems)
    throw new ProtocolError(`${key} is no list of bounded length`)
  return value.map((item: unknown) => {
    if (typeof item !== 'string' || item.length > maxTextLength)
      throw new ProtocolError(`${key} holds what is no text`)
    return item
  })
}

function failureKind(kind: string): FailureKind {
  return failureKinds.find(known => known === kind) ?? 'other'
}
