import type { Readable } from 'node:stream'
import { CofferError } from '../errors.ts'
import type { Execution, Explain } from './execution.ts'
import type { Result } from './options.ts'

/** A result together with everything the process wrote. Bytes stay bytes; text is decoded when asked for. */
export class Output implements Result {
  readonly exitCode: number
  readonly ok: boolean
  readonly signal: string | undefined
  readonly timedOut: boolean
  readonly outOfMemory: boolean
  readonly durationMs: number
  readonly stdout: Buffer
  readonly stderr: Buffer

  constructor(result: Result, stdout: Buffer, stderr: Buffer) {
    this.exitCode = result.exitCode
    this.ok = result.ok
    this.signal = result.signal
    this.timedOut = result.timedOut
    this.outOfMemory = result.outOfMemory
    this.durationMs = result.durationMs
    this.stdout = stdout
    this.stderr = stderr
  }

  /** Standard output as UTF-8, what is none replaced by U+FFFD. */
  get text(): string {
    return this.stdout.toString('utf8')
  }
}

const defaultMaxOutputBytes = 64 * 1024 * 1024

export async function collectOutput(
  execution: Execution,
  explain: Explain,
  maxOutputBytes: number = defaultMaxOutputBytes,
): Promise<Output> {
  const [stdout, stderr, result] = await Promise.all([
    collect(execution, execution.stdout, maxOutputBytes),
    collect(execution, execution.stderr, maxOutputBytes),
    execution.wait(),
  ]).catch(async (error: unknown) => {
    // The stream fails first; `wait` knows the cause, unless the process ended and only the rest of its output is lost.
    if (error instanceof CofferError) throw error
    await execution.wait()
    throw await explain(error)
  })
  return new Output(result, stdout, stderr)
}

async function collect(execution: Execution, stream: Readable, maxOutputBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxOutputBytes) {
      await execution.killTree()
      throw new CofferError(
        'resource_exhausted',
        `the output has more than ${maxOutputBytes} bytes; the command was killed`,
        {
          hint: 'Read the stream instead of collecting it, or raise maxOutputBytes.',
          details: { maxOutputBytes },
        },
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}
