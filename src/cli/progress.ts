import type { StepListener } from '../runtime/options.ts'
import { paint, printable } from './style.ts'

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const frameMs = 100
// A start from a template ends before this, and is not worth a word.
const spinnerDelayMs = 400
const lineDelayMs = 1000

export type Progress = { readonly onProgress: StepListener; readonly stop: () => void }

/** Shows the present step on stderr: a spinner on a terminal, else a line for each step that takes long. */
export function showProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY === true ? spin(stream) : printLongSteps(stream)
}

function spin(stream: NodeJS.WriteStream): Progress {
  const startedAt = Date.now()
  let label = 'starting'
  let frame = 0
  let drawn = false
  const timer = setInterval(() => {
    const elapsedMs = Date.now() - startedAt
    if (elapsedMs < spinnerDelayMs) return
    const text = `${label} (${(elapsedMs / 1000).toFixed(1)} s)`
    // Longer than the line, it would wrap, and the next frame would erase only its last part.
    const fitting = text.slice(0, Math.max(0, (stream.columns ?? 80) - 3))
    stream.write(`\r\u001b[K${paint('cyan', frames[frame++ % frames.length] ?? '', stream)} ${fitting}`)
    drawn = true
  }, frameMs)
  timer.unref()
  return {
    onProgress: progress => {
      label = labelOf(progress)
    },
    stop: () => {
      clearInterval(timer)
      if (drawn) stream.write('\r\u001b[K')
      drawn = false
    },
  }
}

function printLongSteps(stream: NodeJS.WriteStream): Progress {
  let timer: NodeJS.Timeout | undefined
  return {
    onProgress: progress => {
      clearTimeout(timer)
      timer = setTimeout(() => stream.write(`coffer: ${labelOf(progress)} …\n`), lineDelayMs)
      timer.unref()
    },
    stop: () => clearTimeout(timer),
  }
}

function labelOf({ step, detail }: Parameters<StepListener>[0]): string {
  return printable(detail === undefined ? step : `${step}: ${detail}`).replaceAll('\n', ' ')
}
