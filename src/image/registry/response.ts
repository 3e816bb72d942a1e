import type { Dispatcher } from 'undici'
import { networkError, type Step, stepError } from './failure.ts'

const maxDiscardedBytes = 64 << 10

/** An answer whose body is still to be read, once, or to be discarded: else its connection is never used again. */
export class HttpResponse {
  readonly url: URL
  readonly status: number
  readonly #step: Step
  readonly #response: Dispatcher.ResponseData
  readonly #signal: AbortSignal | undefined
  readonly #refusalMs: number

  constructor(
    step: Step,
    url: URL,
    response: Dispatcher.ResponseData,
    { signal, refusalMs }: { readonly signal: AbortSignal | undefined; readonly refusalMs: number },
  ) {
    this.url = url
    this.status = response.statusCode
    this.#step = step
    this.#response = response
    this.#signal = signal
    this.#refusalMs = refusalMs
    // Discarding a body makes it emit an error, and an error nobody listens to ends the process.
    response.body.on('error', () => {})
  }

  /** Names in lower case. Of a header that came several times, the first. */
  header(name: string): string | undefined {
    const value = this.#response.headers[name]
    return Array.isArray(value) ? value[0] : value
  }

  headerValues(name: string): readonly string[] {
    const value = this.#response.headers[name]
    return value === undefined ? [] : Array.isArray(value) ? value : [value]
  }

  /** The body as it comes. Throws as `networkError` does when it ends early. */
  async *body(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of this.#response.body) yield chunk
    } catch (error) {
      throw networkError(this.#step, this.url.host, error, { signal: this.#signal })
    }
  }

  /** All of the body. Throws the error of the step when it has more than `maxBytes`. */
  async bytes(maxBytes: number): Promise<Buffer> {
    const chunks: Buffer[] = []
    let total = 0
    for await (const chunk of this.body()) {
      total += chunk.length
      if (total > maxBytes)
        throw stepError(this.#step, `${this.url.host} sent more than ${maxBytes} bytes where less was due`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  /** The beginning of a refusal's body, as far as it comes soon; never fails, as what it is for is a message. */
  async beginning(maxBytes: number): Promise<string> {
    const chunks: Buffer[] = []
    let total = 0
    const timer = setTimeout(() => this.#response.body.destroy(), this.#refusalMs)
    try {
      for await (const chunk of this.body()) {
        chunks.push(chunk)
        total += chunk.length
        if (total >= maxBytes) break
      }
    } catch {
      // What came until then is what there is to show.
    } finally {
      clearTimeout(timer)
    }
    return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8')
  }

  /** Reads what little may be left, so that the connection can be used again; of more than that, closes it. */
  discard(): void {
    this.#response.body.dump({ limit: maxDiscardedBytes }).catch(() => {})
  }
}
