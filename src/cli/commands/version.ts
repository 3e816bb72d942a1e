import type { Command } from 'commander'
import { packageVersion } from '../../version.ts'
import type { Context } from '../context.ts'

export function addVersion(program: Command, context: Context): void {
  program
    .command('version')
    .summary('print the version')
    .description('Prints the versions of Coffer and of the Node that runs it.')
    .option('--json', 'print a JSON object')
    .action((options: { readonly json?: boolean }) => {
      const versions = { coffer: packageVersion(), node: process.versions.node }
      const text = `coffer ${versions.coffer} (Node ${versions.node})`
      process.stdout.write(`${options.json === true ? JSON.stringify(versions) : text}\n`)
      context.exitCode = 0
    })
}
