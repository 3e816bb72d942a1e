import type { Command } from 'commander'
import type { ComponentReport } from '../../runtime/doctor.ts'
import { type Context, type GlobalOptions, homeOf } from '../context.ts'
import { paint, printable } from '../style.ts'

type Options = GlobalOptions & { readonly json?: boolean }

export function addDoctor(program: Command, context: Context): void {
  const command = program
    .command('doctor')
    .summary('check everything that a box needs')
    .description(
      'Checks every component that a box needs and says how to mend what is wrong. Exit code 1 if anything is.',
    )
    .option('--json', 'print a JSON array')
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      const { inspectHost } = await import('../../runtime/doctor.ts')
      const reports = await inspectHost(homeOf(options))
      process.stdout.write(
        options.json === true ? `${JSON.stringify(reports, undefined, 2)}\n` : formatReports(reports),
      )
      context.exitCode = reports.every(({ ok }) => ok) ? 0 : 1
    })
}

export function formatReports(reports: readonly ComponentReport[], stream = process.stdout): string {
  const width = Math.max(0, ...reports.map(({ name }) => name.length))
  return reports.map(report => formatReport(report, width, stream)).join('')
}

function formatReport(
  { name, ok, version, path, problem, remedy }: ComponentReport,
  width: number,
  stream: NodeJS.WriteStream,
): string {
  const mark = ok ? paint('green', 'ok   ', stream) : paint('red', 'wrong', stream)
  const found = [version, path].filter(part => part !== undefined).join('  ')
  const lines = [`${mark}  ${name.padEnd(width)}  ${printable(found)}`.trimEnd()]
  if (problem !== undefined) lines.push(`       ${printable(problem)}`)
  if (remedy !== undefined) lines.push(`       ${paint('cyan', 'remedy:', stream)} ${printable(remedy)}`)
  return `${lines.join('\n')}\n`
}
