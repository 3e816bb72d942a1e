export type Column<Row> = { readonly title: string; readonly value: (row: Row) => string }

/** Left-aligned columns, two spaces apart, no trailing blanks; a title line even when there is no row. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map(row => columns.map(({ value }) => value(row))),
  ]
  const widths = columns.map((_, column) => Math.max(...cells.map(line => line[column]?.length ?? 0)))
  return cells.map(line => formatLine(line, widths)).join('')
}

function formatLine(line: readonly string[], widths: readonly number[]): string {
  return `${line
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd()}\n`
}
