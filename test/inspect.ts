import { once } from 'node:events'
import { eventually } from './home.ts'

export type Inspected = AsyncDisposable & {
  /** Bytes in buffers that something in the process still refers to. */
  held(): Promise<number>
}

/** Asks a running Node about itself, through the inspector that SIGUSR1 opens on loopback. */
export async function inspect(pid: number): Promise<Inspected> {
  process.kill(pid, 'SIGUSR1')
  let url = ''
  await eventually('the inspector listens', async () => {
    url = await fetch('http://127.0.0.1:9229/json/list').then(
      async answer =>
        ((await answer.json()) as { webSocketDebuggerUrl: string }[])[0]?.webSocketDebuggerUrl ?? '',
      () => '',
    )
    return url !== ''
  })
  const socket = new WebSocket(url)
  await once(socket, 'open')
  let last = 0
  const call = async (method: string, params = {}): Promise<unknown> => {
    const id = ++last
    socket.send(JSON.stringify({ id, method, params }))
    for (;;) {
      const [{ data }] = await once(socket, 'message')
      const message = JSON.parse(data)
      if (message.id === id) return message.result
    }
  }
  const evaluate = async (expression: string): Promise<number> =>
    ((await call('Runtime.evaluate', { expression })) as { result: { value: number } }).result.value
  if ((await evaluate('process.pid')) !== pid)
    throw new Error('another process has the port of the inspector')
  return {
    async held() {
      // What the first finds dead is swept beside the program, and counted off by the second.
      await call('HeapProfiler.collectGarbage')
      await call('HeapProfiler.collectGarbage')
      return evaluate('process.memoryUsage().external')
    },
    async [Symbol.asyncDispose]() {
      const closed = once(socket, 'close')
      socket.close()
      await closed
    },
  }
}
