const units: readonly (readonly [name: string, seconds: number])[] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

/** How long ago `date` was, in its largest unit: `3 minutes ago`. */
export function formatAge(date: Date, now: Date = new Date()): string {
  return `${formatSpan(date, now)} ago`
}

/** The time from `from` to `to` in its largest unit: `3 minutes`. Never negative: clocks are set back. */
export function formatSpan(from: Date, to: Date): string {
  const seconds = Math.max(0, Math.floor((to.getTime() - from.getTime()) / 1000))
  const [name, size] = units.find(([, unitSeconds]) => seconds >= unitSeconds) ?? ['second', 1]
  const count = Math.floor(seconds / size)
  return `${count} ${name}${count === 1 ? '' : 's'}`
}
