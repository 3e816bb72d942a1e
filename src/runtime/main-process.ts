import type { ExecRequest } from '../guest/messages.ts'
import type { BoxConfig } from './box-config.ts'
import { execRequest, type ImageDefaults } from './exec-request.ts'

/** What an image says about its main process. */
export type ImageProcess = ImageDefaults & {
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
}

/**
 * The main process of a box, by Docker's rules: the entrypoint followed by the command, each the box's if it names one, else the image's; a
 * new entrypoint drops the image's command. Undefined when the box names neither: it idles until it is stopped.
 */
export function mainRequest(box: BoxConfig, image: ImageProcess): ExecRequest | undefined {
  if (box.command === undefined && box.entrypoint === undefined) return undefined
  const command = box.command ?? (box.entrypoint === undefined ? image.command : [])
  const [program, ...args] = [...(box.entrypoint ?? image.entrypoint), ...command]
  if (program === undefined) return undefined
  const options = { tty: box.tty, stdin: box.tty !== false ? ('pipe' as const) : ('null' as const) }
  return execRequest(program, args, options, box, image)
}
