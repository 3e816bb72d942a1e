import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as requestHttp,
  type ServerResponse,
} from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { CertificateFiles } from './certificate.ts'
import { listen } from './listen.ts'

/** A server between the client and a real registry, which answers as a test tells it to. */
export type Front = AsyncDisposable & {
  readonly host: string
  readonly url: string
  /** Every request, oldest first. */
  readonly requests: SeenRequest[]
  /** What happens to a request. Default: it is passed on. */
  answer: (exchange: Exchange) => void | Promise<void>
}

export type SeenRequest = {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

export type Exchange = SeenRequest & {
  /** How many requests there were for this method and path, this one among them. */
  readonly count: number
  readonly response: ServerResponse
  /** Has the registry answer, changed as told. */
  forward(change?: Change): Promise<void>
  /** Answers by itself. */
  reply(status: number, headers?: Record<string, string>, body?: string | Uint8Array): void
}

export type Change = {
  /** The connection is cut after so many bytes of the body. */
  readonly cutAfterBytes?: number
  readonly body?: (body: Buffer) => Uint8Array
  readonly headers?: Record<string, string | undefined>
  readonly requestHeaders?: Record<string, string | undefined>
}

export const isBlob = ({ path }: Pick<SeenRequest, 'path'>): boolean => path.includes('/blobs/')

/** `target` is `127.0.0.1:PORT` of a registry without TLS; none for a server that is never to pass anything on. */
export async function startFront(target?: string, tls?: CertificateFiles): Promise<Front> {
  const requests: SeenRequest[] = []
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers }
    requests.push(seen)
    const count = requests.filter(({ method, path }) => method === seen.method && path === seen.path).length
    const exchange: Exchange = {
      ...seen,
      count,
      response,
      forward: change => forward(target, request, response, change),
      reply(status, headers = {}, body = '') {
        response.writeHead(status, headers)
        response.end(body)
      },
    }
    // A test that fails in here must fail at the client, not end the process.
    Promise.resolve(exchange)
      .then(self.answer)
      .catch(() => response.destroy())
  }
  const server =
    tls === undefined
      ? createServer(listener)
      : createSecureServer(
          { cert: readFileSync(tls.certificateFile), key: readFileSync(tls.keyFile) },
          listener,
        )
  const listening = await listen(server)
  const self: Front = {
    host: listening.host,
    url: `${tls === undefined ? 'http' : 'https'}://${listening.host}`,
    requests,
    answer: ({ forward }) => forward(),
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  }
  return self
}

async function forward(
  target: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
  change: Change = {},
): Promise<void> {
  if (target === undefined) throw new Error('there is no registry behind this server')
  const headers = withoutUndefined({ ...request.headers, ...change.requestHeaders })
  const { method, url } = request
  const upstream = requestHttp(`http://${target}${url}`, { method, headers })
  request.pipe(upstream)
  const [answer] = (await once(upstream, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  const original = Buffer.concat(chunks)
  const body = change.body?.(original) ?? original
  response.writeHead(answer.statusCode ?? 502, withoutUndefined({ ...answer.headers, ...change.headers }))
  const { cutAfterBytes } = change
  if (cutAfterBytes === undefined || cutAfterBytes >= body.length) {
    response.end(body)
    return
  }
  // Only what was handed to the kernel counts as sent.
  await new Promise(resolve => response.write(body.subarray(0, cutAfterBytes), resolve))
  response.destroy()
}

function withoutUndefined(headers: Record<string, unknown>): Record<string, string> {
  const known = Object.entries(headers).filter(([, value]) => value !== undefined)
  return Object.fromEntries(known.map(([name, value]) => [name, String(value)]))
}
