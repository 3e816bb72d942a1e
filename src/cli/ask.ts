import { createInterface } from 'node:readline/promises'
import { CofferError } from '../errors.ts'

/** Whether there is somebody to ask: a terminal to read from and one to write to. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** Asks on the terminal. Undefined at the end of the input; rejects with the reason of `signal`. */
export async function ask(question: string, signal?: AbortSignal): Promise<string | undefined> {
  // Not as a terminal: a Ctrl-C is then a signal, as it is everywhere else.
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  const ended = Promise.withResolvers<undefined>()
  const abort = (): void => ended.reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  lines.once('close', () => ended.resolve(undefined))
  try {
    signal?.throwIfAborted()
    const answer = await Promise.race([lines.question(`${question} `), ended.promise])
    // Nobody has ended the line of the question.
    if (answer === undefined) process.stderr.write('\n')
    return answer
  } finally {
    signal?.removeEventListener('abort', abort)
    lines.close()
  }
}

const maxSecretLength = 64 * 1024

/** Asks on the terminal for what is not to be seen on it. Undefined at the end of the input; rejects with the reason of `signal`. */
export async function askSecret(question: string, signal: AbortSignal): Promise<string | undefined> {
  const { stdin, stderr } = process
  const restore = (): void => void stdin.setRawMode(false)
  signal.throwIfAborted()
  // For an exception that nobody caught: the terminal must not stay silent.
  process.once('exit', restore)
  try {
    // First: who answers at once must not be seen to.
    stdin.setRawMode(true)
    stderr.write(`${question} `)
    return await readSecret(stdin, signal)
  } finally {
    process.off('exit', restore)
    restore()
    stdin.pause()
    stderr.write('\n')
  }
}

const keys = { interrupt: '\u0003', end: '\u0004', backspace: ['\u0008', '\u007f'], clear: '\u0015' } as const

function readSecret(stdin: NodeJS.ReadStream, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  const decoder = new TextDecoder()
  let secret: string[] = []
  const onData = (chunk: Buffer): void => {
    for (const key of decoder.decode(chunk, { stream: true })) {
      if (key === '\r' || key === '\n') return resolve(secret.join(''))
      if (key === keys.end) return resolve(secret.length === 0 ? undefined : secret.join(''))
      // In raw mode it is a key like any other; what follows is that of the signal.
      if (key === keys.interrupt) process.kill(process.pid, 'SIGINT')
      else if (keys.backspace.some(each => each === key)) secret.pop()
      else if (key === keys.clear) secret = []
      else secret.push(key)
    }
    if (secret.length > maxSecretLength)
      reject(new CofferError('invalid_argument', 'the password is too long'))
  }
  const onEnd = (): void => resolve(undefined)
  const onAbort = (): void => reject(signal.reason)
  // Whoever asked before has paused it.
  stdin.on('data', onData).once('end', onEnd).resume()
  signal.addEventListener('abort', onAbort, { once: true })
  return promise.finally(() => {
    stdin.off('data', onData).off('end', onEnd)
    signal.removeEventListener('abort', onAbort)
  })
}
