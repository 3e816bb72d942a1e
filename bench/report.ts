import { availableParallelism, cpus, totalmem } from 'node:os'

/** One row of a benchmark: what was measured, and how it was spread. */
export type Figure = {
  readonly name: string
  readonly unit: string
  readonly n: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly least: number
  readonly most: number
}

export function figure(name: string, unit: string, samples: readonly number[]): Figure {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN
  return {
    name,
    unit,
    n: sorted.length,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    least: sorted[0] ?? Number.NaN,
    most: at(1),
  }
}

/** Prints a table for people on standard error and one line of JSON for programs on standard output. */
export function printFigures(
  benchmark: string,
  figures: readonly Figure[],
  facts: Record<string, unknown> = {},
): void {
  const rows = figures.map(({ name, unit, n, ...values }) => [
    name,
    unit,
    String(n),
    ...[values.p50, values.p95, values.p99, values.least, values.most].map(value =>
      value.toFixed(value < 100 ? 2 : 0),
    ),
  ])
  const table = [['', 'unit', 'n', 'p50', 'p95', 'p99', 'least', 'most'], ...rows]
  const widths = table[0]?.map((_, column) => Math.max(...table.map(row => row[column]?.length ?? 0))) ?? []
  console.error(`\n${benchmark}`)
  for (const row of table)
    console.error(
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
  for (const [name, value] of Object.entries(facts)) console.error(`${name}: ${value}`)
  const host = {
    processor: cpus()[0]?.model,
    cores: availableParallelism(),
    memoryMib: Math.round(totalmem() / 1024 ** 2),
    node: process.versions.node,
  }
  console.log(JSON.stringify({ benchmark, at: new Date().toISOString(), host, figures, ...facts }))
}

/** `--n 30` of the command line, else the default. */
export function sampleCount(otherwise: number): number {
  const at = process.argv.indexOf('--n')
  const given = Number(process.argv[at + 1])
  return at >= 0 && Number.isInteger(given) && given > 0 ? given : otherwise
}

export async function timed(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await action()
  return performance.now() - start
}
