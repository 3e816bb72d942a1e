import { spawnSync } from 'node:child_process'
import type { Execution } from '../runtime/execution.ts'
import { UsageError } from './usage-error.ts'

/** For `-t`: there is a terminal to lend to the command, or the command line is wrong. */
export function requireTerminal(stdin: NodeJS.ReadStream = process.stdin): void {
  if (stdin.isTTY !== true) {
    throw new UsageError(
      '-t needs a terminal, and standard input is not a terminal',
      'leave -t out; -i alone passes input on',
    )
  }
}

/** The size to give the command's terminal. Not all terminals know theirs: a serial line says 0 by 0. */
export function terminalSize(stdout: NodeJS.WriteStream = process.stdout): { rows: number; cols: number } {
  return { rows: stdout.rows || 24, cols: stdout.columns || 80 }
}

/**
 * Hands every key to the command, if it reads `keys`, and the terminal's size. Call what is returned to have the terminal
 * back; more calls do nothing.
 */
export function lendTerminal(
  execution: Pick<Execution, 'resize'>,
  { keys }: { readonly keys: boolean },
): () => void {
  const { stdin, stdout } = process
  // Nobody would read the keys otherwise, not even that which interrupts.
  const lend = () => {
    if (keys) makeRaw(stdin)
  }
  const restore = () => {
    if (keys && stdin.isTTY === true) stdin.setRawMode(false)
  }
  // A resize may come after the command's end, when there is nothing left to resize.
  const resize = () => void execution.resize(terminalSize(stdout)).catch(() => {})
  // A shell puts the terminal back into its own mode while this process is stopped.
  const resume = () => {
    lend()
    resize()
  }
  // For every way out that does not come by the caller: process.exit, an exception nobody caught.
  process.once('exit', restore)
  process.on('SIGCONT', resume)
  stdout.on('resize', resize)
  lend()
  return () => {
    process.off('exit', restore)
    process.off('SIGCONT', resume)
    stdout.off('resize', resize)
    restore()
  }
}

// Node's raw mode leaves the output's line ends to be translated, but the terminal in the box has done that already:
// a program that draws with bare line feeds would be torn apart. Leaving raw mode undoes this as well.
function makeRaw(stdin: NodeJS.ReadStream): void {
  stdin.setRawMode(true)
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] })
}

/**
 * For a command that has had another terminal, or none: tells it the size of this one, and has programs that fill the
 * screen draw it again, which they do only when the size is another than before.
 */
export async function fitTerminal(execution: Pick<Execution, 'resize'>): Promise<void> {
  const { rows, cols } = terminalSize()
  await execution.resize({ rows: rows + 1, cols })
  await execution.resize({ rows, cols })
}
