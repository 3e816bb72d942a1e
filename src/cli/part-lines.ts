import { formatBytes } from './bytes.ts'
import type { Part } from './parts.ts'
import { printable } from './style.ts'

export type Screen = { readonly columns: number; readonly rows: number }

const labelWidth = 12
const phaseWidth = 11
const bytesWidth = '999.9 MB/999.9 MB'.length
const rateWidth = '999.9 MB/s'.length
const leftWidth = '59 min '.length
const leastBar = 12
const mostBar = 42
const gap = '  '

/** A line for each part, no longer and together no higher than the screen has room beside a title: those at work first, the rest as a number. */
export function partLines(parts: readonly Part[], screen: Screen, nowMs: number): string[] {
  // The last column stays free: some terminals wrap when it is written to.
  const width = Math.max(1, screen.columns - 1)
  const room = Math.max(1, screen.rows - 2)
  if (parts.length <= room) return parts.map(part => partLine(part, width, nowMs))
  const shown = new Set(parts.toSorted((a, b) => rankOf(a) - rankOf(b)).slice(0, room - 1))
  const others = parts.filter(part => !shown.has(part))
  const done = others.filter(({ isDone }) => isDone).length
  const rest = `… and ${others.length} more, ${done} of them done`
  return [
    ...parts.filter(part => shown.has(part)).map(part => partLine(part, width, nowMs)),
    rest.slice(0, width),
  ]
}

/** One line, of at most `width` characters; what does not fit is left out from the right: time, speed, bar. */
export function partLine(part: Part, width: number, nowMs: number): string {
  const rate = part.isActive ? part.rate.bytesPerSecond(nowMs) : undefined
  const start = [printable(part.label).slice(0, labelWidth).padEnd(labelWidth), part.phase.padEnd(phaseWidth)]
  const bytes = `${formatBytes(part.bytes)}/${formatBytes(part.totalBytes)}`.padStart(bytesWidth)
  const end = [
    bytes,
    rate === undefined ? '' : `${formatBytes(rate)}/s`.padStart(rateWidth),
    rate === undefined ? '' : formatTimeLeft((part.totalBytes - part.bytes) / rate),
  ]
  const taken = labelWidth + phaseWidth + 2 * gap.length + bytesWidth
  const withBar = taken + gap.length + leastBar
  const withRate = withBar + gap.length + rateWidth
  const withLeft = withRate + gap.length + leftWidth
  const texts = end.slice(0, width >= withLeft ? 3 : width >= withRate ? 2 : 1)
  const spare = width - (width >= withLeft ? withLeft : width >= withRate ? withRate : withBar)
  const bars = spare < 0 ? [] : [formatBar(part, Math.min(mostBar, leastBar + spare))]
  return [...start, ...bars, ...texts].join(gap).trimEnd().slice(0, width)
}

/** `[=====>    ]`, `width` characters all in all. */
export function formatBar(
  { bytes, totalBytes, isDone }: Pick<Part, 'bytes' | 'totalBytes' | 'isDone'>,
  width: number,
): string {
  const room = Math.max(0, width - 2)
  const share = isDone || totalBytes === 0 ? Number(isDone) : Math.min(1, Math.max(0, bytes / totalBytes))
  const filled = Math.floor(share * room)
  const bar = filled === 0 || filled === room ? '='.repeat(filled) : `${'='.repeat(filled - 1)}>`
  return `[${bar.padEnd(room)}]`
}

/** `12 s`, `3 min`, `2 h`, `3 days`: rounded up, so that it does not end before. Empty if it is not known. */
export function formatTimeLeft(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return ''
  if (seconds <= 59) return `${Math.ceil(seconds)} s`
  if (seconds <= 59 * 60) return `${Math.ceil(seconds / 60)} min`
  if (seconds <= 47 * 3600) return `${Math.ceil(seconds / 3600)} h`
  return seconds <= 99 * 86_400 ? `${Math.ceil(seconds / 86_400)} days` : ''
}

/** Those at work, then those that wait, then those that are done. */
function rankOf({ isActive, isDone }: Part): number {
  return isActive ? 0 : isDone ? 2 : 1
}
