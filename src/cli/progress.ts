import type { LayerProgress } from '../image/progress.ts'
import type { StepListener } from '../runtime/options.ts'
import { LineProgress } from './line-progress.ts'
import type { PartProgress } from './parts.ts'
import { printable } from './style.ts'
import { TerminalProgress } from './terminal-progress.ts'

/** Shows on standard error how far something is. */
export type Progress = {
  readonly onProgress: StepListener
  readonly onPart: (part: PartProgress) => void
  /** Nothing of it stays on a terminal. */
  readonly stop: () => void
}

/** What is shown: `long` work that takes longer than a moment, `all` of it from the beginning, or nothing. */
export type ProgressMode = 'long' | 'all' | 'none'

/** Bars and a spinner on a terminal that can go back a line, else lines. */
export function showProgress(
  mode: ProgressMode = 'long',
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  if (mode === 'none') return silent
  const isScreen = stream.isTTY === true && process.env['TERM'] !== 'dumb'
  return isScreen ? new TerminalProgress(mode, stream) : new LineProgress(mode, stream)
}

const silent: Progress = { onProgress: () => {}, onPart: () => {}, stop: () => {} }

/** Names come from images and registries. */
export function labelOf({ step, detail }: { readonly step: string; readonly detail?: string }): string {
  return printable(detail === undefined ? step : `${step}: ${detail}`).replace(/\s+/g, ' ')
}

export function layerPart({ layer, index, phase, bytes, totalBytes }: LayerProgress): PartProgress {
  const isDownloaded = phase === 'waiting' && totalBytes > 0 && bytes === totalBytes
  return {
    key: index,
    label: shortDigest(layer),
    phase: isDownloaded ? 'downloaded' : phase,
    bytes: phase === 'done' ? totalBytes : bytes,
    totalBytes,
    isActive: phase === 'downloading' || phase === 'merging',
    isDone: phase === 'done',
  }
}

/** The first twelve digits, as Docker shows ids. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12)
}
