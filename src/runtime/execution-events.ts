import type { Readable } from 'node:stream'
import type { Execution, Explain } from './execution.ts'
import type { Result } from './options.ts'

export type ExecutionEvent =
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'stdout' | 'stderr'; readonly data: Buffer }
  | { readonly type: 'exited'; readonly result: Result }

/** Both streams and the end as one sequence. Neither stream is read further than the consumer of the events has come. */
export async function* executionEvents(
  execution: Execution,
  explain: Explain,
): AsyncGenerator<ExecutionEvent, void, undefined> {
  yield { type: 'started', pid: execution.pid }
  const sources = new Map<string, AsyncIterator<Buffer>>()
  const pending = new Map<string, Promise<{ name: 'stdout' | 'stderr'; next: IteratorResult<Buffer> }>>()
  for (const name of ['stdout', 'stderr'] as const) sources.set(name, bytesOf(execution[name]))
  const pull = (name: 'stdout' | 'stderr'): void => {
    const source = sources.get(name)
    if (source !== undefined)
      pending.set(
        name,
        source.next().then(next => ({ name, next })),
      )
  }
  pull('stdout')
  pull('stderr')
  while (pending.size > 0) {
    const { name, next } = await Promise.race(pending.values()).catch(async (error: unknown) => {
      // The stream fails first; `wait` knows the cause, unless the process ended and only the rest of its output is lost.
      await execution.wait()
      throw await explain(error)
    })
    pending.delete(name)
    if (next.done) continue
    yield { type: name, data: next.value }
    pull(name)
  }
  yield { type: 'exited', result: await execution.wait() }
}

function bytesOf(stream: Readable): AsyncIterator<Buffer> {
  return (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
}
