import { once } from 'node:events'
import type { Server } from 'node:http'

/** Has a server listen on a free port of 127.0.0.1, until it is disposed. */
export async function listen(
  server: Server,
): Promise<AsyncDisposable & { readonly host: string; readonly port: number }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    host: `127.0.0.1:${address.port}`,
    port: address.port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
