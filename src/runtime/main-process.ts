import { CofferError, isCofferError } from '../errors.ts'
import type { ExecRequest } from '../guest/messages.ts'
import type { ImageConfig } from '../image/config.ts'
import type { BoxConfig } from './box-config.ts'
import { execRequest, type ImageDefaults } from './exec-request.ts'
import { signalNumber } from './signals.ts'

/** What an image says about its main process. */
export type ImageProcess = ImageDefaults & {
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
}

/**
 * The main process of a box, by Docker's rules: the entrypoint followed by the command, each the box's if it names one, else the image's; a
 * new entrypoint drops the image's command. Undefined when the box names neither: it idles until it is stopped. `command: 'image'` asks for
 * what the image runs, and is an error where that is nothing.
 */
export function mainRequest(box: BoxConfig, image: ImageProcess): ExecRequest | undefined {
  if (box.command === undefined && box.entrypoint === undefined) return undefined
  const [program, ...args] = commandLine(box, image, box.command === 'image' ? undefined : box.command)
  if (program === undefined && box.command === 'image')
    throw new CofferError('invalid_argument', `image ${box.image} has no command of its own`, {
      hint: 'Name the command to run.',
      details: { image: box.image },
    })
  if (program === undefined) return undefined
  const options = { tty: box.tty, stdin: box.tty !== false ? ('pipe' as const) : ('null' as const) }
  return execRequest(program, args, options, box, image)
}

/** What a box runs by Docker's rules; empty if neither box nor image says anything. */
export function commandLine(
  box: Pick<BoxConfig, 'entrypoint'>,
  image: Pick<ImageProcess, 'entrypoint' | 'command'>,
  command: readonly string[] | undefined,
): string[] {
  const own = command ?? (box.entrypoint === undefined ? image.command : [])
  return [...(box.entrypoint ?? image.entrypoint), ...own]
}

/** What asks the main process to end; undefined for the usual. An image may name what is no signal: that is not worth a box. */
export function stopSignalOf(
  { stopSignal }: Pick<BoxConfig, 'stopSignal'>,
  image: Pick<ImageConfig, 'stopSignal'>,
): number | undefined {
  const number = stopSignal ?? imageSignal(image.stopSignal)
  return number === sigterm ? undefined : number
}

function imageSignal(name: string | undefined): number | undefined {
  if (name === undefined) return undefined
  const realTime = /^(?:SIG)?RTMIN(?:\+(\d{1,2}))?$/.exec(name)
  try {
    return signalNumber(realTime === null ? name : firstRealTimeSignal + Number(realTime[1] ?? 0))
  } catch (error) {
    if (isCofferError(error, 'invalid_argument')) return undefined
    throw error
  }
}

const sigterm = 15
/** SIGRTMIN of the C libraries. */
const firstRealTimeSignal = 34
