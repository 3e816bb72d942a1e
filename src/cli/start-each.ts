import type { Box } from '../runtime/box.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { isActive } from '../state/box-status.ts'
import type { GlobalOptions } from './context.ts'
import { forEachBox } from './each-box.ts'
import { exitCodeOfSignal } from './exit-codes.ts'
import type { SignalRelay } from './signals.ts'

type Options = GlobalOptions & { readonly signals: SignalRelay; readonly signal: AbortSignal }

/** Starts boxes, and stays with those that live only as long as whoever started them: until they have stopped, or a signal comes. */
export async function startEach(
  runtime: Runtime,
  references: readonly string[],
  options: Options,
  start: (box: Box) => Promise<void>,
): Promise<number> {
  const attached: Box[] = []
  const exitCode = await forEachBox(
    references,
    options,
    async reference => {
      const box = await runtime.get(reference)
      const before = await box.info()
      await start(box)
      if (!before.detach && !isActive(before.status)) attached.push(box)
    },
    options.signal,
  )
  if (attached.length === 0) return exitCode
  process.stderr.write(
    `coffer: ${attached.map(labelOf).join(', ')}: attached, runs until this command ends\n`,
  )
  return (await stayWith(attached, options.signals)) ?? exitCode
}

/** The exit code of the signal that came first, if one did: the boxes end with our runtime. */
async function stayWith(boxes: readonly Box[], signals: SignalRelay): Promise<number | undefined> {
  const signalled = Promise.withResolvers<number>()
  const onSignal = (signal: NodeJS.Signals) => signalled.resolve(exitCodeOfSignal(signal))
  signals.handOver(onSignal)
  if (signals.first !== undefined) onSignal(signals.first)
  const stopped = Promise.all(boxes.map(box => box.wait())).then(() => undefined)
  // When a signal came first, the runtime closes under it.
  stopped.catch(() => {})
  return Promise.race([stopped, signalled.promise])
}

function labelOf(box: Box): string {
  return box.name ?? box.id
}
