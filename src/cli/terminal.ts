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

/** Hands every key to the command, and the terminal's size. Call what is returned to have the terminal back. */
export function lendTerminal(execution: Pick<Execution, 'resize'>): () => void {
  const { stdin, stdout } = process
  const restore = () => {
    if (stdin.isTTY === true) stdin.setRawMode(false)
  }
  // A resize may come after the command's end, when there is nothing left to resize.
  const resize = () => void execution.resize(terminalSize(stdout)).catch(() => {})
  // A shell puts the terminal back into its own mode while this process is stopped.
  const resume = () => {
    makeRaw(stdin)
    resize()
  }
  // For every way out that does not come by the caller: process.exit, an exception nobody caught.
  process.once('exit', restore)
  process.on('SIGCONT', resume)
  stdout.on('resize', resize)
  makeRaw(stdin)
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
