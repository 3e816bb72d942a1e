const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** In units of 1000, as Docker shows sizes: `0 B`, `12.3 kB`, `1.0 GB`. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes)
  let unit = 0
  // What would be rounded to 1000.0 is one of the next unit.
  while (value >= (unit === 0 ? 1000 : 999.95) && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? Math.floor(value) : value.toFixed(1)} ${units[unit]}`
}
