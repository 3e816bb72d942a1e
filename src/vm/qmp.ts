import type { Duplex } from 'node:stream'
import { CofferError } from '../errors.ts'

/** The commands Coffer uses: arguments and returns as in QEMU's QMP reference. */
export type QmpCommands = {
  qmp_capabilities: { arguments: undefined; return: unknown }
  'query-status': { arguments: undefined; return: { status: string; running: boolean } }
  'query-version': { arguments: undefined; return: { qemu: { major: number; minor: number; micro: number } } }
  stop: { arguments: undefined; return: unknown }
  cont: { arguments: undefined; return: unknown }
  quit: { arguments: undefined; return: unknown }
  migrate: { arguments: { uri: string }; return: unknown }
  'migrate-incoming': { arguments: { uri: string }; return: unknown }
  'query-migrate': { arguments: undefined; return: { status?: string; 'error-desc'?: string } }
  'migrate-set-capabilities': {
    arguments: { capabilities: readonly { capability: string; state: boolean }[] }
    return: unknown
  }
}

export type QmpEvent = { readonly event: string; readonly data: Readonly<Record<string, unknown>> }

/** A message of QEMU is a line; one longer than this is not QEMU's. */
const maxLineBytes = 1024 * 1024

type Waiter = { readonly command: string; resolve(value: unknown): void; reject(error: Error): void }

/** A client of the QEMU Machine Protocol over one connected stream, which it owns. */
export class Qmp {
  readonly #stream: Duplex
  readonly #onEvent: (event: QmpEvent) => void
  readonly #waiters = new Map<number, Waiter>()
  #nextId = 1
  #line = ''
  #failure: Error | undefined

  constructor(stream: Duplex, onEvent: (event: QmpEvent) => void) {
    this.#stream = stream
    this.#onEvent = onEvent
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => this.#receive(text))
    stream.on('error', error => this.#fail(error))
    stream.on('close', () => this.#fail(new Error('QEMU closed the connection')))
  }

  /** Throws `engine_unavailable` when QEMU refuses the command or is gone. */
  execute<C extends keyof QmpCommands>(
    command: C,
    ...args: QmpCommands[C]['arguments'] extends undefined ? [] : [QmpCommands[C]['arguments']]
  ): Promise<QmpCommands[C]['return']> {
    if (this.#failure !== undefined) return Promise.reject(unavailable(command, this.#failure))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { command, resolve, reject })
      this.#stream.write(`${JSON.stringify({ execute: command, arguments: args[0], id })}\n`)
    })
  }

  close(): void {
    this.#stream.destroy()
  }

  #receive(text: string): void {
    this.#line += text
    for (let end = this.#line.indexOf('\n'); end >= 0; end = this.#line.indexOf('\n')) {
      const line = this.#line.slice(0, end)
      this.#line = this.#line.slice(end + 1)
      this.#dispatch(line)
    }
    if (this.#line.length > maxLineBytes) this.#stream.destroy(new Error('a QMP message without end'))
  }

  #dispatch(line: string): void {
    let message: unknown
    try {
      message = JSON.parse(line)
    } catch {
      this.#stream.destroy(new Error(`a QMP message that is not JSON: ${line.slice(0, 80)}`))
      return
    }
    if (!isRecord(message)) return
    if (typeof message['event'] === 'string') {
      this.#onEvent({ event: message['event'], data: isRecord(message['data']) ? message['data'] : {} })
      return
    }
    const id = message['id']
    const waiter = typeof id === 'number' ? this.#waiters.get(id) : undefined
    if (waiter === undefined || typeof id !== 'number') return
    this.#waiters.delete(id)
    if (isRecord(message['error']))
      waiter.reject(unavailable(waiter.command, new Error(String(message['error']['desc']))))
    else waiter.resolve(message['return'])
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const waiter of this.#waiters.values()) waiter.reject(unavailable(waiter.command, error))
    this.#waiters.clear()
  }
}

function unavailable(command: string, cause: Error): CofferError {
  return new CofferError('engine_unavailable', `QEMU did not carry out ${command}: ${cause.message}`, {
    cause,
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
