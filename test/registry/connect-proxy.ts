import { createServer, type IncomingHttpHeaders, request as requestHttp } from 'node:http'
import { connect } from 'node:net'
import { listen } from './listen.ts'

/** An HTTP proxy that knows where invented names are: what is behind it may have any name, without DNS. */
export type ConnectProxy = AsyncDisposable & {
  readonly url: string
  /** By `host:port` as a client asks for it. What is not in here is refused with 403. */
  readonly hosts: Map<string, string>
  readonly requests: {
    readonly method: string
    readonly target: string
    readonly headers: IncomingHttpHeaders
  }[]
}

export async function startConnectProxy(): Promise<ConnectProxy> {
  const hosts = new Map<string, string>()
  const requests: ConnectProxy['requests'] = []
  const server = createServer((request, response) => {
    const target = new URL(request.url ?? '')
    requests.push({ method: request.method ?? '', target: request.url ?? '', headers: request.headers })
    const address = hosts.get(`${target.hostname}:${target.port || 80}`)
    if (address === undefined) {
      response.writeHead(403).end()
      return
    }
    const { method, headers } = request
    const upstream = requestHttp(`http://${address}${target.pathname}${target.search}`, { method, headers })
    upstream.on('response', answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    upstream.on('error', () => response.destroy())
    request.pipe(upstream)
  })
  server.on('connect', (request, socket) => {
    const target = request.url ?? ''
    requests.push({ method: 'CONNECT', target, headers: request.headers })
    const address = hosts.get(target)
    socket.on('error', () => socket.destroy())
    if (address === undefined) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    const [host = '', port = ''] = address.split(':')
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket)
      socket.pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
    upstream.on('close', () => socket.destroy())
  })
  const listening = await listen(server)
  return {
    url: `http://${listening.host}`,
    hosts,
    requests,
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  }
}
